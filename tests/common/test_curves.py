"""Learning curves: a line an epoch."""

from stages.common.curves import curves_path, write_curves
from stages.common.records import Epoch


def test_a_line_for_each_epoch_of_each_run(workplace):
    path = curves_path("mfccs", "gpu")
    epoch = Epoch(train_loss=1.5, val_loss=float("inf"), val_accuracy=0.25, val_f1_macro=0.125)
    write_curves(path, [(0, 0, epoch), (3, 7, epoch)])
    head, *lines = path.read_text().splitlines()
    assert str(path) == "metrics/curves/mfccs_gpu.csv"
    assert head == '"run","epoch","train_loss","val_loss","val_accuracy","val_f1_macro"'
    assert lines == ["0,0,1.5,inf,0.25,0.125", "3,7,1.5,inf,0.25,0.125"]
