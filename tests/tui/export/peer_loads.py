"""Run by SAEDashboard's own Python: load batches into its classes, and say whether they come out as they went in.

python peer_loads.py FOLDER
"""

import json
import sys
from pathlib import Path

from sae_dashboard.neuronpedia.neuronpedia_dashboard import NeuronpediaDashboardBatch

for path in sorted(Path(sys.argv[1]).glob("batch-*.json")):
    read = json.loads(path.read_text())
    batch = NeuronpediaDashboardBatch(**read)
    assert batch.to_dict() == read, path
    print(len(batch.features), sum(len(feature.activations) for feature in batch.features))
