"""CAM (Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016): classification alone.

The network is trained to classify, and nothing is added; the map is read off its features and weights
(:func:`wsol.maps.class_activation_map`). TAP is a pooling, NWC a map and PaS a threshold: Rethinking CAM
(ECCV 2020) trains by this method too.
"""

from wsol.methods.base import Method


class CAM(Method):
    """Class activation mapping: plain classification."""
