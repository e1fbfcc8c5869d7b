"""Draw all figures of the concepts: ``python -m docs.make``. Trains what is missing into ``runs/figures``."""

from docs.make import maps, methods, trained

if __name__ == "__main__":
    maps.main()
    methods.main()
    trained.main()
