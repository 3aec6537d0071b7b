exec /tokend --reload
