/** A client's call as this node holds it between its request and its final answer. */
import type { Route } from "./Input.ts"
import type { Method } from "./handlers.ts"
import type { RequestProof } from "./Message.ts"
import type { Session } from "./sessions.ts"

export interface CallState {
  readonly session: Session
  readonly index: number
  readonly method: Method
  /** The request's exact bytes: other bytes under the same name are a conflict. */
  readonly body: Uint8Array
  readonly message: object
  /** Its client's signature, where the method is signed. */
  readonly proof: RequestProof | undefined
  /** Where the answer goes: the link the latest copy came over; 0: nobody waits. */
  route: Route
  /** How many copies of the request were handed to the entry handler. */
  copies: number
  /** The latest copy was refused: the next one runs. */
  refused: boolean
  /** The entry handler's Effect under way; 0: none. Single-flight. */
  token: number
  /** Node time at which the client stops waiting; 0: not told. */
  dueMs: number
}
