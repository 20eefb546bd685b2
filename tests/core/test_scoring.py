"""The scores against scikit-learn."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from stages.core.scoring import confusion_matrix, scores


@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60),
)
def test_scores_agree_with_scikit_learn(pairs):
    actual, predicted = np.array(pairs).T
    names = list(range(4))
    confusion = confusion_matrix(actual, predicted, 4)
    np.testing.assert_array_equal(confusion, metrics.confusion_matrix(actual, predicted, labels=names))
    ours = scores(confusion)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(actual, predicted, labels=names, zero_division=0)
    np.testing.assert_allclose(ours["precision"], precision)
    np.testing.assert_allclose(ours["recall"], recall)
    np.testing.assert_allclose(ours["f1"], f1)
    np.testing.assert_allclose(ours["f1_macro"], f1.mean())
    np.testing.assert_allclose(ours["accuracy"], metrics.accuracy_score(actual, predicted))
