"""Make a motion corpus of natural sentences read by text-to-speech, with lips learned from GRID; or GRID's own spoken
again by other voices.

    python tools/make_natural_corpus.py GRID.corpus -o natural.corpus --download VOICES --each 24
    python tools/make_natural_corpus.py GRID.corpus -o grid_voices.corpus --download VOICES --again 2

GRID.corpus is what `geneface prepare-corpus` made of GRID talkers. Needs espeak-ng and flite (apt-get install) and
onnxruntime (pip install -e .[voices]); voices are downloaded once to --download. Natural sentences go on with the voice
at which they were stopped, --again begins anew.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_prep.voices.engines import espeak, flite  # noqa: E402
from data_prep.voices.lips import LipModel  # noqa: E402
from data_prep.voices.natural import learn_lips, make_natural_corpus, readings  # noqa: E402
from data_prep.voices.neural import joe, kokoro  # noqa: E402
from data_prep.voices.revoice import add_voices  # noqa: E402
from geneface.corpus import MotionCorpus  # noqa: E402
from geneface.errors import UserError  # noqa: E402

ESPEAK = {"+m3": 35, "+f2": 60, "+klatt2": 45, "+m7": 55, "+f4": 45}  # variants and their pitch


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("corpus", type=Path, help="prepared GRID corpus that lips are learned from")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--download", type=Path, required=True, help="folder that keeps the voices")
    parser.add_argument("--each", type=int, default=24, help="sentences a voice reads")
    parser.add_argument("--renderings", type=int, default=2)
    parser.add_argument("--again", type=int, default=0,
                        help="write the corpus' own sentences with so many more renderings by other voices instead")
    parser.add_argument("--steps", type=int, default=600, help="of the lip model")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        foreign = ("de", "fr", "it", "es", "ja", "cmn-Latn-pinyin")
        voices = [joe(arguments.download), *(flite(name) for name in ("slt", "rms", "awb", "kal16")),
                  *(espeak(f"espeak{variant}", ("en", *foreign), variant, pitch) for variant, pitch in ESPEAK.items()),
                  *kokoro(arguments.download, arguments.seed)]
        corpus = MotionCorpus(arguments.corpus)
        if arguments.again:
            add_voices(corpus, voices, arguments.out, arguments.again, arguments.seed)
            return 0
        about = {"corpus": corpus.info, "steps": arguments.steps, "seed": arguments.seed}
        file = arguments.out / f"lips_{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}.safetensors"
        if not file.is_file():
            learn_lips(corpus, arguments.steps, arguments.seed).save(file, about)
        result = make_natural_corpus(readings(voices, arguments.each, arguments.seed), LipModel.load(file),
                                     arguments.out, arguments.renderings, arguments.seed)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
