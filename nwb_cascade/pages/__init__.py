"""One maker of HTML pages: what a template shows is escaped, and a page needs no other file and no network."""

from nwb_cascade.pages.maker import image_source, render, target_page, write_page

__all__ = ["image_source", "render", "target_page", "write_page"]
