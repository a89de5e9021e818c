"""Getting the files of a data set into a folder: from a mirror, Kaggle or the web; resumed, checked, never half."""
