"""Names of the parts of a face that models, masks and error tables share."""

REGION_NAMES = (
    "forehead",
    "left_brow",
    "right_brow",
    "left_eye_socket",
    "right_eye_socket",
    "left_eye",
    "right_eye",
    "nose",
    "left_cheek",
    "right_cheek",
    "upper_lip",
    "lower_lip",
    "mouth",
    "jaw",
    "left_ear",
    "right_ear",
    "neck",
    "head",
)
"""Left and right are the subject's; `eye` is the eyeball, `mouth` its inside, `head` the scalp."""
