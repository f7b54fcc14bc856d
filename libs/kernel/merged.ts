/**
 * A copy of `row` with what changes. Like a spread with more keys after it, but all copies have one shape: on Node 20
 * (V8 11.3) an object that is spread and then gets a new key has a shape of its own, which costs a microsecond or more a
 * key, and makes everything slow that reads such objects. Where keys are all known, a literal with the spread last does.
 */
export const merged = <Row extends object, Change extends object>(row: Row, change: Change): Row & Change =>
  Object.assign({}, row, change);
