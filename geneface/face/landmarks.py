"""Facial landmark index sets, and measures on landmarks.

`478` is MediaPipe Face Mesh with irises (468 surface points, then 5 per iris); `68` is the iBUG 300-W markup
(Sagonas et al. 2013), whose points are taken from MediaPipe's. Right and left are the person's own: the right eye
is on the image's left. MediaPipe's contours are those of its `face_mesh_connections`.
"""
from __future__ import annotations

import numpy as np

# iBUG order: jaw from the person's right ear to the left, brows, nose, eyes, outer lips, inner lips.
MEDIAPIPE_TO_68 = np.array([
    127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91,
    78, 81, 13, 311, 308, 402, 14, 178,
])
JAW_68 = np.arange(0, 17)
BROWS_68 = np.arange(17, 27)
NOSE_68 = np.arange(27, 36)
EYES_68 = np.arange(36, 48)
LIPS_OUTER_68 = np.arange(48, 60)
LIPS_INNER_68 = np.arange(60, 68)
LIPS_68 = np.arange(48, 68)

# Closed loops, starting at the person's right corner and running over the upper lip, back over the lower.
LIPS_OUTER_UPPER = np.array([61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291])
LIPS_OUTER_LOWER = np.array([61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291])
LIPS_INNER_UPPER = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308])
LIPS_INNER_LOWER = np.array([78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308])
LIPS_OUTER = np.concatenate([LIPS_OUTER_UPPER, LIPS_OUTER_LOWER[-2:0:-1]])
LIPS_INNER = np.concatenate([LIPS_INNER_UPPER, LIPS_INNER_LOWER[-2:0:-1]])
LIPS = np.concatenate([LIPS_OUTER, LIPS_INNER])

# Eyelid edges, outer corner to inner corner (corners in both).
EYE_RIGHT_UPPER = np.array([33, 246, 161, 160, 159, 158, 157, 173, 133])
EYE_RIGHT_LOWER = np.array([33, 7, 163, 144, 145, 153, 154, 155, 133])
EYE_LEFT_UPPER = np.array([263, 466, 388, 387, 386, 385, 384, 398, 362])
EYE_LEFT_LOWER = np.array([263, 249, 390, 373, 374, 380, 381, 382, 362])
EYE_RIGHT = np.concatenate([EYE_RIGHT_UPPER, EYE_RIGHT_LOWER[-2:0:-1]])
EYE_LEFT = np.concatenate([EYE_LEFT_UPPER, EYE_LEFT_LOWER[-2:0:-1]])

BROW_RIGHT = np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 46])
BROW_LEFT = np.array([300, 293, 334, 296, 336, 285, 295, 282, 283, 276])
BROWS = np.concatenate([BROW_RIGHT, BROW_LEFT])

IRIS_RIGHT = np.arange(468, 473)  # centre, then four points of the rim
IRIS_LEFT = np.arange(473, 478)

FACE_OVAL = np.array([
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
])
# The lower half of the oval, where the visible outline slides over the skin as the head turns.
JAW_OVAL = np.array([
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356,
])
NOSE = np.array([168, 6, 197, 195, 5, 4, 1, 2, 98, 97, 326, 327, 48, 278, 64, 294])
# The nose and its sides: rigid, and full of features.
NOSE_SKIN = np.array([
    1, 2, 3, 4, 5, 6, 19, 20, 44, 45, 47, 48, 49, 51, 59, 60, 64, 75, 79, 94, 97, 98, 99, 102, 114, 115, 122,
    125, 126, 128, 131, 134, 141, 166, 168, 174, 188, 189, 193, 195, 196, 197, 198, 209, 217, 218, 219, 220,
    235, 236, 237, 238, 239, 240, 241, 242, 244, 245, 248, 250, 274, 275, 277, 278, 279, 281, 289, 290, 294,
    305, 309, 326, 327, 328, 343, 344, 351, 354, 355, 357, 360, 363, 370, 392, 399, 412, 413, 417, 419, 420,
    429, 437, 438, 439, 440, 455, 456, 457, 458, 459, 460, 461, 462, 464, 465,
])
# Forehead and temples, where skin has no features: their places are guessed.
FOREHEAD_AND_TEMPLES = np.array([
    34, 35, 68, 69, 71, 104, 108, 111, 116, 117, 123, 124, 137, 138, 139, 143, 147, 151, 156, 177, 187, 192,
    213, 215, 227, 264, 265, 298, 299, 301, 333, 337, 340, 345, 346, 352, 353, 366, 367, 368, 372, 376, 383,
    401, 411, 416, 433, 435, 447,
])

# [P,2] landmarks that face each other over the gap between the lips, and between the lids.
LIPS_APART = np.stack([LIPS_INNER_UPPER[1:-1], LIPS_INNER_LOWER[1:-1]], 1)
LIDS_APART = np.concatenate([
    np.stack([upper[1:-1], lower[1:-1]], 1)
    for upper, lower in ((EYE_RIGHT_UPPER, EYE_RIGHT_LOWER), (EYE_LEFT_UPPER, EYE_LEFT_LOWER))])


def _points(landmarks: np.ndarray, in_478: int, in_68: int) -> np.ndarray:
    if landmarks.shape[-2] == 68:
        return landmarks[..., in_68, :]
    if landmarks.shape[-2] in (468, 478):
        return landmarks[..., in_478, :]
    raise ValueError(f"landmarks: expected 68 or 478 points, got shape {landmarks.shape}")


def mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """Distance of the inner lips' midpoints, [...,68 or 478,2 or 3] -> [...], in the landmarks' unit."""
    return np.linalg.norm(_points(landmarks, 13, 62) - _points(landmarks, 14, 66), axis=-1)


def relative_mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """Distance of the inner lips' midpoints over the height of the face, [...,478,2] -> [...]."""
    height = np.linalg.norm(landmarks[..., 10, :] - landmarks[..., 152, :], axis=-1)
    return mouth_opening(landmarks) / np.maximum(height, 1e-6)


def mouth_width(landmarks: np.ndarray) -> np.ndarray:
    """Distance of the mouth's outer corners, [...,68 or 478,2 or 3] -> [...], in the landmarks' unit."""
    return np.linalg.norm(_points(landmarks, 61, 48) - _points(landmarks, 291, 54), axis=-1)


def eye_aspect(landmarks: np.ndarray) -> np.ndarray:
    """Eyelid opening over eye width, [...,478,2 or 3] -> [...,2], the person's right eye (image left) first.

    The mean of three lid distances over the distance of the corners (Soukupova and Cech 2016, with all of
    MediaPipe's inner lid points), so it does not change with the size of the face.
    """
    sides = []
    for upper, lower in ((EYE_RIGHT_UPPER, EYE_RIGHT_LOWER), (EYE_LEFT_UPPER, EYE_LEFT_LOWER)):
        lids = np.linalg.norm(landmarks[..., upper[2:-2], :] - landmarks[..., lower[2:-2], :], axis=-1).mean(-1)
        width = np.linalg.norm(landmarks[..., upper[0], :] - landmarks[..., upper[-1], :], axis=-1)
        sides.append(lids / np.maximum(width, 1e-9))
    return np.stack(sides, -1)


def landmark_trust() -> np.ndarray:
    """[478] trust in each landmark; 0 leaves it out.

    Features that are seen count, skin that is guessed hardly does: on renders with known pose MediaPipe's nose follows
    a nod to 80 to 90 %, its forehead and outline to under a half, so they would make every nod too small.
    """
    trust = np.where(np.arange(478) % 3 == 0, 0.3, 0.0)  # cheeks: every third is enough
    trust[FOREHEAD_AND_TEMPLES] = 0
    trust[FACE_OVAL] = 0.08
    trust[[152, 148, 377, 176, 400]] = 0.5  # chin
    trust[BROWS] = 0.8
    trust[NOSE_SKIN] = 1.2
    trust[NOSE] = 1.2
    trust[LIPS_OUTER] = 1.5
    trust[LIPS_INNER] = 4.0
    trust[np.concatenate([EYE_RIGHT, EYE_LEFT])] = 2.0
    trust[np.concatenate([IRIS_RIGHT, IRIS_LEFT])] = 0.5
    return trust
