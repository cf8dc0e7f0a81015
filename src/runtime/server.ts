/** The door `quorate/server`: nodes. */
export type { Connection, ConnectionEvents, Door, Listener } from "./Carrier.ts"
export { Carrier } from "./Carrier.ts"
export { GroupInvalid, ReplicaFailed, StoreInvalid } from "./Errors.ts"
export { Failed } from "./Failed.ts"
export { Group, type GroupConfig } from "./Group.ts"
export { Member } from "./Member.ts"
export { makeMemoryNetwork, type MemoryNetwork } from "./memoryCarrier.ts"
export * as Replica from "./Replica.ts"
