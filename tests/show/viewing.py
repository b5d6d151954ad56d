"""A page as a person sees it in a browser."""

import time


class View:
    """A page that is open in the browser, as a person sees it."""

    def __init__(self, browser, path, width=1200, dark=False):
        self.browser = browser
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        browser.get(path.as_uri())

    def click(self, to):
        self.browser.find_element("css selector", f"[data-to={to}]").click()

    def press(self, key):
        self.browser.switch_to.active_element.send_keys(key)

    def text(self, selector):
        return self.browser.find_element("css selector", selector).text

    def seen(self, selector):
        return [element.text for element in self.browser.find_elements("css selector", selector) if element.is_displayed()]

    def in_node(self, key, kind):
        """The lines of a node's values or gradients that are visible; all spaces as one."""
        return self.browser.execute_script(
            "return [...document.querySelectorAll(`[data-node=${arguments[0]}] text.${arguments[1]}`)]"
            ".filter(text => getComputedStyle(text).visibility === 'visible').map(text => text.textContent)", key, kind)

    def heard(self):
        """(role, name) of all that a screen reader finds; the browser makes them a moment after the page."""
        end = time.monotonic() + 20
        while True:
            nodes = self.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
            found = [(node["role"]["value"], node.get("name", {}).get("value", "").strip())
                     for node in nodes if not node.get("ignored")]
            if len(found) > 1 or time.monotonic() > end:  # at first there is the page alone
                return found
            time.sleep(0.1)

    def errors(self):
        return [entry for entry in self.browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
