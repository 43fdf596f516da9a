"""The indexed lookup finds what walking every rule would find."""

from hypothesis import given
from hypothesis import strategies as st

from backend.ingestion import documents
from backend.ingestion.ruleset import Rule, RuleSet, merged_prefixes
from backend.ingestion.targets import Target
from backend.integrations.datahub import urns

HEAD = "urn:li:dataset:(urn:li:dataPlatform:athena,"
names = st.text(alphabet="ab._", min_size=1, max_size=12)
prefixes = st.one_of(names, names.map(lambda text: HEAD + text), st.just(HEAD))
targets = st.sampled_from([Target("lambda", name) for name in ("f", "g", "h")])


def _rule(source: str, pattern: str, target: Target) -> Rule:
    return Rule("prefix", pattern, target, source)  # type: ignore[arg-type]


@given(
    st.dictionaries(prefixes, targets, max_size=20),
    st.dictionaries(prefixes, targets, max_size=20),
    names,
)
def test_prefixes(portal: dict[str, Target], env: dict[str, Target], name: str) -> None:
    urn = f"{HEAD}{name},PROD)"
    rules = [_rule("portal", p, t) for p, t in portal.items()]
    rules += [_rule("env", p, t) for p, t in env.items()]
    sets = [RuleSet.of("portal", rules[: len(portal)]), RuleSet.of("env", rules[len(portal) :])]

    def covered(rule: Rule) -> int:
        return max(0, len(rule.pattern) - (len(HEAD) if rule.pattern.startswith("urn:") else 0))

    walked = [
        r for r in rules if (urn if r.pattern.startswith("urn:") else name).startswith(r.pattern)
    ]
    found = merged_prefixes(sets, urn, name)
    assert sorted(map(repr, found)) == sorted(map(repr, walked))
    assert [covered(rule) for rule in found] == sorted(map(covered, found), reverse=True)
    assert urns.parse_dataset(urn).name == name


@given(st.dictionaries(names, targets, max_size=20), st.booleans())
def test_documents_come_back_as_they_went(rules: dict[str, Target], as_yaml: bool) -> None:
    given_rules = [_rule("portal", pattern, target) for pattern, target in rules.items()]
    if as_yaml:
        back = documents.parse_yaml(documents.to_yaml(given_rules), "portal")
    else:
        back = documents.parse_json(documents.to_json(given_rules), "portal")
    assert sorted(map(repr, back)) == sorted(map(repr, given_rules))
