/**
 * The one closed list of error codes; `proto/quorate/v1/error.proto` holds the same numbers.
 * `retry`: another try of the same call may succeed, so the client's call table tries again until
 * its deadline. All others are the node's final word on the call.
 */
export const ERROR_CODES = {
  /** The handler refused the request's content. */
  invalid: { number: 1, retry: false },
  not_found: { number: 2, retry: false },
  /** Other bytes under the same (session, index), or a handler's own conflict. */
  conflict: { number: 3, retry: false },
  unavailable: { number: 4, retry: false },
  internal: { number: 5, retry: false },
  /** A handler threw; the instance is silent on that node from then on. */
  poisoned: { number: 6, retry: false },
  already_acknowledged: { number: 7, retry: false },
  session_expired: { number: 8, retry: false },
  unknown_method: { number: 9, retry: false },
  malformed: { number: 10, retry: false },
  too_large: { number: 11, retry: false },
  deadline_exceeded: { number: 12, retry: false },
  cancelled: { number: 13, retry: false },
  outcome_unknown: { number: 14, retry: false },
  overloaded: { number: 20, retry: true },
  too_early: { number: 21, retry: true },
  /** Another node takes this call; the reply names it. */
  redirect: { number: 22, retry: true },
  /** Above the session's window: acknowledge older calls first. */
  window: { number: 23, retry: true },
  /** The node stops or starts, or its link is down. */
  not_ready: { number: 24, retry: true },
  wrong_group: { number: 30, retry: false },
  unsupported_version: { number: 31, retry: false },
  unauthenticated: { number: 32, retry: false },
  link_overrun: { number: 33, retry: true },
  replaced: { number: 34, retry: true },
  /** A member came back with another store: it lost what it said. */
  wrong_store: { number: 35, retry: false },
  /** A member is kept out until an operator lets it in again. */
  banned: { number: 36, retry: false },
  /** A frame was changed or injected on its way: the connection is at fault, not the peer. */
  altered: { number: 37, retry: true },
  /** The node works on the call, and makes known that later ones belong to the next epoch. */
  epoch_closing: { number: 45, retry: true },
  /** The call's epoch is over at this node, which has no part in the call and never will. */
  epoch_ended: { number: 46, retry: false },
  /** The link's epoch has ended at the node, which forgot what it did in it. */
  epoch_gone: { number: 47, retry: false },
  /** The request lacks its client's signature, or a proof in it is false. */
  bad_signature: { number: 50, retry: false }
} as const

export type ErrorCode = keyof typeof ERROR_CODES

/** What an entry handler may fail with. */
export type FailCode = "invalid" | "not_found" | "conflict" | "unavailable" | "internal"

const byNumber = new Map<number, ErrorCode>(
  Object.entries(ERROR_CODES).map(([code, { number }]) => [number, code as ErrorCode])
)
export const errorCodeNumber = (code: ErrorCode): number => ERROR_CODES[code].number
/** `undefined` for a number this version does not know. */
export const errorCodeOf = (number: number): ErrorCode | undefined => byNumber.get(number)
export const mayRetry = (code: ErrorCode): boolean => ERROR_CODES[code].retry
