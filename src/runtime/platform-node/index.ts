/** The door `quorate/platform-node`: groups in files, HTTP/2, the process. */
export { GroupInvalid, MetricsFailed, ReplicaFailed, StoreInvalid } from "../Errors.ts"
export { runMain } from "../runMain.ts"
export { makeConnectCarrier } from "./connectCarrier.ts"
export * as Metrics from "./Metrics.ts"
export * as NodeGroup from "./NodeGroup.ts"
