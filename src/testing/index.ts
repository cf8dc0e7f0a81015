/** The door `quorate/testing`: what a test of a protocol needs. */
export { Tap, type TapEvent } from "../link/tap.ts"
export { type CrashPoint, crashAt, crashPoints } from "./crashEverywhere.ts"
export { EventHash } from "./hash.ts"
export { type Traffic, trafficByKind, trafficSince } from "./traffic.ts"
export { shrink } from "./shrink.ts"
export { spaceTime, type SpaceTimeOptions } from "./spaceTime.ts"
export * as Simulation from "./Simulation.ts"
export { choicesOf } from "./Simulation.ts"
export {
  type Faults,
  type NetworkKind,
  type SimulateOptions,
  type SimulationParts,
  type SimulationRun,
  simulate
} from "./simulate.ts"
export type { Promises } from "./Checkers.ts"
export type { CallChoice } from "./simClient.ts"
export type { Decorate } from "./simHostOptions.ts"
export { type EpochsOptions, type EpochsRun, simulateEpochs } from "./simulateEpochs.ts"
