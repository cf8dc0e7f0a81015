/**
 * What keeps a program from starting, as typed errors. Each is one line for people: where it is,
 * what is wrong, what to do. `runMain` prints that line and no stack.
 */
import { Data } from "effect"

interface Line {
  readonly where: string
  readonly what: string
  readonly remedy: string
}
export const line = ({ where, what, remedy }: Line): string => `${where}: ${what}; ${remedy}`

/** A group file or value that cannot be used. */
export class GroupInvalid extends Data.TaggedError("GroupInvalid")<Line> {
  override get message(): string {
    return line(this)
  }
}

/** A node that cannot start, or had to stop. */
export class ReplicaFailed extends Data.TaggedError("ReplicaFailed")<Line> {
  override get message(): string {
    return line(this)
  }
}

/** A data folder that cannot be used as it is. Nothing in it was changed. */
export class StoreInvalid extends Data.TaggedError("StoreInvalid")<Line> {
  override get message(): string {
    return line(this)
  }
}

/** An endpoint for metrics that cannot listen. */
export class MetricsFailed extends Data.TaggedError("MetricsFailed")<Line> {
  override get message(): string {
    return line(this)
  }
}
