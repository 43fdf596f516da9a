"""A run on the user sync page: what it shows of each user."""

from tests.backend.user_sync import conftest as rooms

directory, om, world = rooms.directory, rooms.om, rooms.world

PAGE = "user_sync/page.py"


def test_blanks_that_nobody_sees_are_marked_in_the_run_too(open_page, world):
    world.om.store.edit_user("lena.novak", by="x", display_name=" Lena Novak-Horvat")
    emails = ["chloe_martin@example.com", "lena.novak@example.com", "dana.fox@example.com"]
    run = world.apply(world.plan(), emails=emails)
    shown = open_page(PAGE, role="viewer", run=str(run.id), view="history").dataframe[-1].value
    names = {
        email: (old, new)
        for email, old, new in zip(
            shown["E-mail"], shown["Old name"], shown["New name"], strict=True
        )
    }
    assert names == {
        "chloe_martin@example.com": ("Chloe␣ Martin", "Chloe Martin"),
        "lena.novak@example.com": ("␣Lena Novak-Horvat", "Lena Novak-Horvat"),
        "dana.fox@example.com": ("", ""),
    }
