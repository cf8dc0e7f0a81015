/** The door of the client combinators. */
export { CallFailed } from "./Errors.ts"
export { type QuorumCallSpec, quorumCall } from "./QuorumCall.ts"
export { type RepliesSpec, replies } from "./Replies.ts"
