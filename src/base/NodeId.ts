/** A member's id inside its group: a positive integer, unique, chosen by the operator. */
export type NodeId = number

/** Largest id, so that an id always fits two bytes of a varint and sorts as a number. */
export const NODE_ID_MAX = 65_535

export const isNodeId = (value: unknown): value is NodeId =>
  typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= NODE_ID_MAX
