"""The documentation: pages, and in ``docs.make`` the code that makes their figures."""
