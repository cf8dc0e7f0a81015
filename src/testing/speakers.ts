/** Who says what: as a link knows it by the two hellos. */
import type { ClientMessage, Message, PeerMessage } from "../server/Message.ts"

export const isPeerMessage = (message: Message): message is PeerMessage =>
  message.kind === "word" ||
  message.kind === "want" ||
  message.kind === "resume" ||
  message.kind === "wantLane" ||
  message.kind === "cut" ||
  message.kind === "behind" ||
  message.kind === "taken" ||
  message.kind === "epoch"

export const isClientMessage = (message: Message): message is ClientMessage =>
  message.kind === "request" || message.kind === "oneWay" || message.kind === "cancel"
