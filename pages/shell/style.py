"""The few rules of style that the theme has no setting for."""

from auth import first_frame, inline

#: Pixels of a page's form: in a wide window fields as long as a line are hard to look over.
FORM_WIDTH = 720

#: In the page's head before anything is drawn (`auth.first_frame`), so that nothing jumps when it
#: comes; Streamlit's own rules come later, so each of these says `:root` to outdo them.
#: What hovers over the page lies beside Streamlit's own root, which alone says the scheme; so the
#: document says it, too.
#: What has the focus is seen, and is not hidden by a bar at the lower edge; a menu that is closed
#: has no stops. Primary buttons are readable in the dark theme. Where nothing hovers, a table's
#: tools are always there, and get room above it. A phone folds the filters behind their switch
#: (`pages.shared.filters.folded`) and leaves the glossary to the search; it has no keys to hint at.
#: A row's card there is a button or has some; a thumb needs 44 pixels, so what opens the menu has
#: them and a box to tick is hit around it, too; a plan's box stands in the line of its person, and
#: its pills fold with its filters. What waits for ticks takes one line until there are some.
#: The Overview's cards are as high while their pictures come as they are with them.
#: Its strip has two lines from the start: where one works, then what leads elsewhere; so has what
#: chooses the part of a page where it needs them. Who is signed in comes with the menu above it.
STYLE = """<style>:root {
color-scheme: light dark;
h1:focus {outline: none}
.stVerticalBlock:focus-visible {outline: 2px solid; outline-offset: 0.4rem; border-radius: 0.2rem}
a:focus-visible {outline: 2px solid; outline-offset: -2px}
main, section {scroll-padding-bottom: 10rem}
.stSidebar[data-collapsed="true"] {visibility: hidden}
button[kind^="primary"]:not([disabled]) {color: light-dark(#ffffff, #0b1220)}
button[kind^="primary"] kbd {color: inherit; opacity: 1}
[class*="st-key-danger-"] button[kind="primary"]:not([disabled]) {
  background: #c0392b; border-color: #c0392b; color: #ffffff}
[data-tag], [data-tag] span, [data-tag] button {color: light-dark(#ffffff, #0b1220)}
@media (hover: none) {.stElementContainer:has(> .stDataFrame) {margin-top: 1.75rem}}
@media (forced-colors: active) {
  [aria-checked="true"], [aria-current="page"] {outline: 2px solid Highlight; outline-offset: -2px}}
.st-key-connections-kind [data-rac]:has(> [slot]) {
  display: flex; flex-direction: row; flex-wrap: wrap; justify-content: space-between;
  align-items: center; column-gap: 0.5rem; width: 100%}
.st-key-connections-kind [slot] {margin: 0; padding: 0; & * {opacity: 1}}
.st-key-head PLACEHOLDER {height: 0}
[class*="st-key-trend-"] {min-height: 9.6rem}
[class*="st-key-trend-"] img {width: 100%; height: 1.6rem}
[class*="st-key-trend-"] PLACEHOLDER {height: 1.6rem}
[class*="st-key-unfold-"] {display: none}
[class*="st-key-user_sync-tick"] label {padding: 0.6rem; margin: -0.6rem}
[class*="st-key-card-"] button {
  min-height: 3.2rem; padding: 0.6rem 0.9rem; justify-content: start;
  &, * {text-align: start}}
[class*="st-key-card-"] PLACEHOLDER {height: 5.56rem}
.stSidebar:not(:has(nav a)) .st-key-chrome-account {display: none}
[class*="st-key-unfold-"] PLACEHOLDER {height: 1.5rem}
@media NARROW {
  .stMainBlockContainer {padding-top: 4.25rem}
  [aria-controls="stSidebar"] {width: 3.15rem; height: 3.15rem}
  .stSidebar nav a {min-height: 2.8rem}
  .stCheckbox label {padding-block: 1rem; margin-block: -1rem}
  [class*="st-key-user_sync-tick"] label {
    flex: none; min-width: 3.2rem; padding: 1.1rem; margin: -1.1rem}
  .stMainBlockContainer > .stVerticalBlock {gap: 0.6rem}
  .st-key-user_sync-bar {
    margin-block: -0.4rem -2rem; gap: 0.6rem;
    > :first-child {flex: 1 0 auto; width: auto}
    > :has(button:disabled) {display: none}
    button {padding-inline: 0.6rem}}
  .stApp:not(:has(.st-key-unfold-plan input:checked)) .st-key-user_sync-kind {display: none}
  .stColumn:has([class*="st-key-user_sync-tick"]) {flex: none; width: 1.6rem; min-width: 0}
  .stColumn:has([class*="st-key-user_sync-tick"]) + .stColumn {flex: 1; min-width: 60%}
  [class*="st-key-unfold-"] {display: flex}
  [class*="st-key-fold-"]:not(:has([class*="st-key-unfold-"] input:checked))
    > :not([class*="st-key-unfold-"]) {display: none}
  .st-key-connections-kind {min-height: 20.4rem}
  [class*="st-key-user_sync-view"], [class*="st-key-mounts-view"] {flex: 1 0 100%}
  [class*="st-key-mounts-view"], [class*="st-key-accounts-view"] {min-height: 4.25rem}
  .st-key-chrome-strip, .st-key-head {row-gap: 0}
  .st-key-chrome-strip {
    min-height: 5rem;
    > :has(> .stSpace) {flex: 1 0 100%}
    > .st-key-shell-environment-choice {flex: 0 1 9rem}}
  .stPageLink * {white-space: normal}
  .st-key-head-words, kbd {display: none}}
}</style>""".replace("NARROW", inline.NARROW).replace("PLACEHOLDER", first_frame.PLACEHOLDER)
