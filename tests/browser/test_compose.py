"""Sub-codes of several images in one question: kept, asked with, linked to, and given back."""

from playwright.sync_api import Page, expect


def test_a_concept_keeps_its_sub_code_while_another_image_is_chosen(page: Page) -> None:
    page.get_by_role("tab", name="Match").click()
    rules = page.locator(".ch-rules > li")
    expect(rules).to_have_count(2)
    kept_code = rules.nth(0).locator("code").inner_text()
    kept_name = page.locator("#ch-hand h2").inner_text()
    rules.nth(0).get_by_role("button", name="Keep concept 1").click()
    expect(rules.nth(0).locator(".ch-pin")).to_contain_text(kept_name)
    for rule in (rules.nth(0), rules.nth(1)):
        rule.get_by_role("button", name="≤ 1 bit").click()
        expect(rule.get_by_role("button", name="≤ 1 bit")).to_have_attribute("aria-pressed", "true")
    other = next(
        thumb for thumb in page.locator(".ch-thumb").all() if thumb.get_attribute("title") not in (kept_name, None)
    )
    name = other.get_attribute("title") or ""
    other.click()
    expect(page.locator("#ch-hand h2")).to_have_text(name)
    expect(rules.nth(0).locator(".ch-pin")).to_contain_text(kept_name)
    expect(rules.nth(0).locator("code")).to_have_text(kept_code)
    expect(page.locator(".ch-question .ch-hint").first).to_contain_text("several images")
    expect(page.locator("#ch-match .ch-codeblock code").first).to_contain_text('api_name="/compose"')
    heading = page.locator(".ch-results h3").inner_text()

    page.reload()  # the address holds the whole question
    expect(rules.nth(0).locator(".ch-pin")).to_contain_text(kept_name)
    expect(page.locator(".ch-results h3")).to_have_text(heading)

    rules.nth(0).get_by_role("button", name="Take concept 1 from the image in hand again").click()
    expect(page.locator(".ch-pin")).to_have_count(0)
    expect(page.locator("#ch-match .ch-codeblock code").first).to_contain_text('api_name="/match"')
    own = page.locator(".ch-ribbon code").first.inner_text()
    expect(rules.nth(0).locator("code")).to_have_text(own)
