"""What directories call an e-mail, a name and a domain."""

from collections.abc import Sequence

#: Field of the portal → names in the field, the likeliest first, compared without case and marks.
KNOWN = {
    "email": ("email", "mail", "primaryemail", "emailaddress", "useremail", "userprincipalname"),
    "displayName": ("displayname", "name", "fullname", "preferredname", "commonname", "cn"),
    "domain": ("domain", "domains", "department", "dept", "businessunit", "division"),
    "description": ("description", "jobtitle", "title"),
}


def guess(names: Sequence[str]) -> dict[str, str]:
    """Field of the portal → the name among these that holds it."""
    plain = {"".join(c for c in name.lower() if c.isalnum()): name for name in reversed(names)}
    found: dict[str, str] = {}
    for field, known in KNOWN.items():
        name = next((plain[word] for word in known if word in plain), None)
        if name is not None:
            found["domains" if name.lower() == "domains" else field] = name
    return found
