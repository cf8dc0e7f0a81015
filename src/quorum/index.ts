/** The door of the quorum floor: members, fault models, quorums, tallies, verdicts, policies. */
export {
  blockingSize,
  type FaultModel,
  faultsMax,
  isFaultModel,
  membersMin,
  oneHonestSize,
  quorumSize
} from "./FaultModel.ts"
export { isMembersInvalid, type Members, type MembersInvalid, parseMembers } from "./Members.ts"
export {
  all,
  type Count,
  first,
  fold,
  type MatchingOptions,
  majority,
  matching,
  type Policy,
  quorum,
  threshold
} from "./Policy.ts"
export { atLeast, makeSystem, type Quorum, type System } from "./QuorumSystem.ts"
export {
  type Agreement,
  agreementEquals,
  type RankedVote,
  Tally,
  type TallyGroup
} from "./Tally.ts"
export { type Verdict, verdict } from "./Verdict.ts"
export type { Vote } from "./Vote.ts"
