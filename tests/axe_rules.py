"""The rules of axe on a page that is open."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

COLORS = {"runOnly": ["color-contrast", "link-in-text-block"]}  # rules that light and dark can answer differently
OTHER_THEME = "document.body.classList.toggle('dark')"


def serious(page: Page) -> list[str]:
    """What breaks a rule seriously or critically in the theme of the moment, or one of colors in the other theme."""
    found = violations(page)
    page.evaluate(OTHER_THEME)
    found += violations(page, **COLORS)
    page.evaluate(OTHER_THEME)
    return found


def violations(page: Page, **options: Any) -> list[str]:
    """The same in the theme of the moment only, each rule with up to three nodes."""
    page.wait_for_timeout(600)  # for what fades in
    found = Axe().run(page, options={"resultTypes": ["violations"]} | options).response["violations"]
    return [
        f"{rule['id']}: {[node['html'][:160] for node in rule['nodes']][:3]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
