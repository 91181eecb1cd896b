"""The signup as a person meets it in a browser, with its script or without."""

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

PATIENCE = 30_000
"""Milliseconds for what takes a worker."""


class SignupPage:
    """One page of a browser; what is done and seen there, in a person's words."""

    def __init__(self, page: Page, *, scripts: bool = True) -> None:
        self.page = page
        self.scripts = scripts

    def open(self) -> "SignupPage":
        self.page.goto("/")
        if self.scripts:
            expect(self.page.locator("html.enhanced")).to_be_attached()
        return self

    def fill(self, **answers: str) -> None:
        """By the fields' names, which are their ids."""
        for name, value in answers.items():
            self.page.locator(f"#{name}").fill(value)

    def field(self, name: str) -> Locator:
        return self.page.locator(".field", has=self.page.locator(f"#{name}"))

    def choose(self, name: str, *files: Path) -> None:
        self.field(name).locator("input[type=file]").set_input_files(list(files))

    def go_on(self) -> None:
        self.page.get_by_role("button", name="Save and continue").click()

    def step(self, title: str) -> Locator:
        """The way to a step: a button where leaving saves, a link where there is nothing to."""
        steps = self.page.get_by_role("navigation", name="Steps")
        return steps.get_by_role("listitem").filter(has_text=title)

    def go_to(self, title: str) -> None:
        self.step(title).locator(".step").click()
        self.is_at(title)

    def is_at(self, title: str) -> None:
        heading = "Check your answers" if title == "Check and send" else title
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)

    def line(self, filename: str) -> Locator:
        """What is said of a file in a list of files."""
        return self.page.locator(".files").get_by_role("listitem").filter(has_text=filename)

    def refresh_until_seen(self, wanted: Locator) -> None:
        """Press the page's own link until the files are checked; a script needs no press."""
        if self.scripts:
            expect(wanted).to_be_visible(timeout=PATIENCE)
            return
        for _ in range(100):
            if wanted.is_visible():
                return
            self.page.wait_for_timeout(200)
            with self.page.expect_navigation():  # or the page before it would be looked at
                self.page.get_by_role("link", name="Refresh").click()
        expect(wanted).to_be_visible()

    def is_sent(self) -> None:
        heading = self.page.get_by_role("heading", name="Thank you")
        expect(heading).to_be_visible(timeout=PATIENCE)
