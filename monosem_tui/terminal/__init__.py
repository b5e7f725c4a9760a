"""The terminal itself: its capabilities, corrections to Textual's driver, and the app served to a browser.

Starting the app is `monosem_tui.launch`; colours of roles are `monosem_tui.draw`.

`monosem tui --web` starts textual-serve on 127.0.0.1, an app per page. A browser lets any page open a WebSocket to this
machine, so requests with another Host or Origin are refused, and a Content-Security-Policy keeps the page from loading
anything from elsewhere.
"""
