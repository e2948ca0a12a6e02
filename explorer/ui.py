"""The whole page: header, image in hand, tabs in order, one session, one theme."""

from typing import Any

import gradio as gr

from .api import Api
from .doors import Page, open_doors
from .render.page import gallery_notice, header, status_line, theme_switch
from .services import Services
from .session import Session
from .shared_configs import share_configs
from .views.centers import centers_tab
from .views.explain import explain_tab
from .views.guard import guarded, in_place, unchanged
from .views.link import TIMED, LinkBar, is_late, link_bar, link_panel, time_of
from .views.match import match_tab
from .views.query import query_panel
from .views.server import server_line
from .views.subcodes import subcodes_tab
from .views.surface import SHOWS, WRITES, surface
from .views.train import train_tab
from .views.train_models import Opened, menu_of, train_memory

__all__ = ["build_page", "build_theme"]

TITLE = "ConceptHash Explorer"
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")


def build_page(services: Services) -> gr.Blocks:
    """Put the page together; nothing is computed until somebody opens it."""
    api = Api(lambda: services)
    gr.set_static_paths(services.galleries.thumbnail_folders())
    with Page(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as page:
        session = gr.State(new_session(services, services.default_model))
        memory = train_memory()
        link = _header(page, services, session, memory.mine)
        query_panel(page, services, session)
        selected = gr.State(0.0)  # stands before the tabs: Gradio counts whatever is among them as one
        with gr.Tabs(selected="explain", elem_id="ch-tabs") as tabs:
            with gr.Tab("Explain", id="explain") as explain:
                explain_tab(page, api, session, tabs)
            with gr.Tab("Match", id="match") as match:
                match_tab(page, api, session, tabs)
            with gr.Tab("Sub-codes", id="subcodes") as subcodes:
                subcodes_tab(page, api, session, tabs)
            with gr.Tab("Centers", id="centers") as centers:
                centers_tab(page, api, session, tabs)
            opened = [(explain, "explain"), (match, "match"), (subcodes, "subcodes"), (centers, "centers")]
            if services.settings.may_train:
                with gr.Tab("Train", id="train") as train:
                    train_tab(page, services, session, tabs, memory)
                opened.append((train, "train"))
        for tab, name in opened:
            _remember_tab(tab, name, session, selected, link)
        link_panel(page, services, session, tabs, link)
        server_line()
        open_doors(page, api, services.gate)
    share_configs(page)
    return page


def new_session(services: Services, checkpoint: str) -> Session:
    """Return what a visitor starts with: the model's default image, nothing asked yet."""
    return Session(checkpoint=checkpoint, image=services.photos.first_image(checkpoint))


def with_model(services: Services, session: Session, name: str) -> Session:
    """Move to another model and load it; the image stays in hand where that model can show it, too."""
    services.info(name)  # loads the model, or says why it cannot be loaded
    return session.with_checkpoint(name).replace(image=services.photos.image_or_first(name, session.image))


def _header(page: gr.Blocks, services: Services, session: gr.State, mine: gr.State) -> LinkBar:
    info = services.info(services.default_model)
    with gr.Row(elem_id="ch-header"):
        brand = surface(header(status_line(info)), elem_id="ch-brand", scale=1)
        link = link_bar()
        model = gr.Dropdown(
            list(services.model_names),
            value=services.default_model,
            label="Model",
            container=False,
            elem_id="ch-model",
            interactive=True,
            filterable=False,
            min_width=150,
            scale=0,
        )
        surface(theme_switch(), elem_id="ch-theme", scale=0, min_width=36)
    link.notice.render()
    notice = surface(gallery_notice(info), elem_id="ch-notice")

    @guarded(lambda message: (header(), in_place(message), gr.skip()))
    def show(now: Session, opened: Opened) -> tuple[str, str, Any]:
        info = services.info(now.checkpoint)
        menu = gr.Dropdown(menu_of(services.model_names, opened), value=now.checkpoint)
        return header(status_line(info)), gallery_notice(info), menu

    @guarded(unchanged)
    def switch(now: Session, name: str) -> Any:
        return with_model(services, now, name)

    gr.on(
        [page.load, session.change, mine.change],
        show,
        [session, mine],
        [brand, notice, model],
        concurrency_limit=8,
        show_progress="hidden",
        **SHOWS,
    )
    model.input(
        switch,
        [session, model],
        session,
        concurrency_id="model",
        concurrency_limit=2,
        show_progress="minimal",
        show_progress_on=brand,
        api_visibility="private",
    )
    return link


def _remember_tab(tab: gr.Tab, name: str, session: gr.State, selected: gr.State, link: LinkBar) -> None:
    """Keep the open tab in the session; requests may come in another order than clicks, so each bears its time."""

    def remember(now: Session, seen: str, restored: int, last: float) -> Any:
        at = time_of(seen)
        is_newest = at >= last and not is_late(seen, restored)
        return now.replace(tab=name) if is_newest and now.tab != name else gr.skip(), max(at, last)

    tab.select(remember, [session, link.bar, link.restored, selected], [session, selected], js=TIMED, **WRITES)


def build_theme() -> gr.themes.Base:
    """Return a calm theme on system fonts; nothing is fetched from anywhere."""
    theme = gr.themes.Base(
        primary_hue="stone",
        secondary_hue="stone",
        neutral_hue="stone",
        font=list(SANS),
        font_mono=list(MONO),
        radius_size="md",
        text_size="md",
    )
    return theme.set(
        body_background_fill="var(--ch-paper)",
        body_background_fill_dark="var(--ch-paper)",
        body_text_color="var(--ch-ink)",
        body_text_color_dark="var(--ch-ink)",
        body_text_color_subdued="var(--ch-soft)",
        body_text_color_subdued_dark="var(--ch-soft)",
        background_fill_primary="var(--ch-card)",
        background_fill_primary_dark="var(--ch-card)",
        background_fill_secondary="var(--ch-sunk)",
        background_fill_secondary_dark="var(--ch-sunk)",
        border_color_primary="var(--ch-line)",
        border_color_primary_dark="var(--ch-line)",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_shadow_dark="none",
        input_background_fill="var(--ch-card)",
        input_background_fill_dark="var(--ch-card)",
        input_border_color="var(--ch-line)",
        input_border_color_dark="var(--ch-line)",
        block_label_text_color="var(--ch-soft)",
        block_label_text_color_dark="var(--ch-soft)",
        block_title_text_color="var(--ch-soft)",
        block_title_text_color_dark="var(--ch-soft)",
        color_accent="var(--ch-ink)",
    )
