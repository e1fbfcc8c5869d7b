"""Where is the class that I name, and which classes are there? python examples/ask_for_a_class.py."""

import wsol
from wsol.data.samples import sample_photographs

motorcycle = sample_photographs()[3]
asked = wsol.load("efficientnet_lite0")(motorcycle, label="disc brake")  # a name, an index or a synset
assert isinstance(asked, wsol.Localization)  # of a folder it would be a list
print(asked.label, f"{asked.probability:.3f}", asked.boxes.tolist())

for each in wsol.load("efficientnet_lite0", top_k=3)(motorcycle):
    print(each.label, f"{each.probability:.3f}", each.boxes.tolist())
