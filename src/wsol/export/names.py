"""What images and their files are called in outputs."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath

from wsol.inference.localization import Localization


def common_root(paths: Iterable[Path]) -> Path:
    """The deepest folder that holds all images: of one file, its folder; of none, the working folder.

    Paths are made absolute and ``..`` is taken out; links are not resolved.
    """
    root: Path | None = None
    for path in paths:
        folder = _absolute(path).parent
        if root is None:
            root = folder
        elif not folder.is_relative_to(root):
            root = Path(os.path.commonpath([root, folder]))
    return Path.cwd() if root is None else root


def image_names(
    results: Collection[Localization], root: Path | None = None
) -> Iterator[tuple[str, Localization]]:
    """Each result with the name of its image: the path below the root with ``/`` between folders.

    An image that came from memory is called after its place among the results: ``image_000000``.

    Args:
        results: iterated once more if ``root`` is ``None``.
        root: folder that holds all images; by default the deepest one (:func:`common_root`).

    Raises:
        ValueError: an image outside the root.
    """
    if root is None:
        root = common_root(result.path for result in results if result.path is not None)
    root = _absolute(root)
    for index, result in enumerate(results):
        if result.path is None:
            yield f"image_{index:06d}", result
            continue
        path = _absolute(result.path)
        if not path.is_relative_to(root):
            raise ValueError(f"root must be a folder that holds all images, got {root}: {path} is outside")
        yield path.relative_to(root).as_posix(), result


def output_names(
    results: Collection[Localization], root: Path | None = None, *, ranked: bool = False
) -> Iterator[tuple[str, str, Localization]]:
    """Each result with its image's name and the name, without suffix, of the file to write about it.

    That is the image's name without its suffix: ``dogs/a`` for ``dogs/a.jpg``. Images that would share
    a file keep their suffix, each of them: ``a.jpg`` and ``a.png``. The same image again gets ``~2``.

    Args:
        results: iterated twice, once more if ``root`` is ``None``.
        root: see :func:`image_names`.
        ranked: whether the alternatives have files of their own, ``NAME.2``, ``NAME.3``, ….

    Raises:
        ValueError: an image outside the root.
    """
    if root is None:
        root = common_root(result.path for result in results if result.path is not None)
    claims: Counter[str] = Counter()  # how many images would use a name, with its suffix or without
    for name, result in image_names(results, root):
        ranks = 1 + len(result.alternatives) if ranked else 1
        claims.update({*_files(_stem(name), ranks), *_files(name, ranks)})
    repeats: Counter[str] = Counter()
    for name, result in image_names(results, root):
        ranks = 1 + len(result.alternatives) if ranked else 1
        if all(claims[file] == 1 for file in _files(_stem(name), ranks)):
            yield name, _stem(name), result
        else:
            repeats[name.casefold()] += 1
            yield (
                name,
                name if repeats[name.casefold()] == 1 else f"{name}~{repeats[name.casefold()]}",
                result,
            )


def _absolute(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))


def _stem(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def _files(name: str, ranks: int) -> list[str]:
    folded = name.casefold()  # some file systems take A.jpg and a.jpg for one file
    return [folded, *(f"{folded}.{rank}" for rank in range(2, ranks + 1))]
