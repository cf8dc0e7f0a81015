import { assert } from "./assert.ts"

/**
 * Every bound of a node, in one place. A field's comment says what it costs at worst and what
 * happens when it is hit (P8).
 */
export interface Limits {
  /** Members of a group; a bit set per tally row, so 128 bytes each. A larger group is refused. */
  readonly membersMax: number
  /** One message body. A larger one is `too_large` at the sender and cuts the link it came over. */
  readonly bodyBytesMax: number
  /** One batch of a link. The sender starts a new batch; a receiver cuts the link. */
  readonly batchBytesMax: number
  /** A batch is handed to the carrier once it holds this much, even within a turn. */
  readonly batchBytesTarget: number
  readonly batchEnvelopesTarget: number
  /**
   * Sent and not acknowledged, per link: beyond it nothing more is sent. And per channel, what
   * waits or is not acknowledged: beyond it the channel is closed, and opened anew.
   */
  readonly linkBytes: number
  /** Frames of one channel that its receiver has not worked off. The sender waits beyond it. */
  readonly creditBytes: number
  /** A body above it travels in parts of this size, between which other groups have their turns. */
  readonly fragmentBytes: number
  /** Groups that share one link. One more is refused. */
  readonly channelsMax: number
  /** Written to a connection, not taken by its socket. Frames wait beyond it, and pass it once. */
  readonly backlogBytesMax: number
  /** A link that says nothing says so after this time. */
  readonly keepAliveMs: number
  /** A link on which nothing came for this time is dead. */
  readonly silenceMsMax: number
  /** Frames of a link on the unary transport that are not answered. The sender waits beyond it. */
  readonly unaryInFlight: number
  /** One without an answer for so long breaks its link. */
  readonly unaryTimeoutMs: number
  /** `keepAliveMs` of such a link, whose ends learn by calls alone that it broke. */
  readonly unaryKeepAliveMs: number
  /** A link is replaced by a new one, with new keys, after this time, or this much sent. */
  readonly linkAgeMsMax: number
  readonly streamBytesMax: number
  /** Said words on the way to one peer, not yet taken. The cursor waits beyond it. */
  readonly cursorBytesMax: number
  /** Calls of one session between `ackedBelow` and the newest. A call above it is `window`. */
  readonly windowCalls: number
  /**
   * Sessions of one group. One more evicts the one that was opened first, whose calls then get
   * `session_expired`; where that one is not `sessionEvictAgeMs` old, it is `overloaded`.
   */
  readonly sessionsMax: number
  /** A session opened less than this below a node's clock is evicted for nobody. */
  readonly sessionEvictAgeMs: number
  /** Sessions that one client brings within `sessionEvictAgeMs`. One more is `overloaded`. */
  readonly sessionsPerClientMax: number
  /**
   * Open calls of one client at a node, those included that it no longer waits for. One more is
   * `overloaded`.
   */
  readonly callsPerClientMax: number
  /**
   * The same of all clients, and instances of calls that members named. One more call is
   * `overloaded`; what members say of it waits as early votes do.
   */
  readonly callsMax: number
  /**
   * Bodies of a client's open calls and of answers it has not acknowledged. A call beyond it is
   * `overloaded`; an answer beyond it is given, and not kept: its copies get `outcome_unknown`.
   */
  readonly clientBytesMax: number
  /** The same of all clients of a node. The oldest answers are let go of, then as above. */
  readonly clientsBytesMax: number
  /**
   * Early votes kept per sender, at most `cursorBytesMax` of them in bytes. The oldest is dropped
   * and asked for again.
   */
  readonly earlyVotesMax: number
  /** Widest window a protocol lane may declare; a wider one is refused when the node starts. */
  readonly laneWindowMax: number
  /** Most rounds a protocol lane may keep per instance; more are refused when the node starts. */
  readonly roundsMax: number
  /**
   * Decided indexes of a lane that its application has not run, each a body at most; as many again
   * as the window may wait behind a hole. Beyond it the lane's `own` stands still, and the leader's
   * window fills.
   */
  readonly applyAheadMax: number
  /** Commands of one `apply`, together a body at most. More are the author's mistake. */
  readonly applyItemsMax: number
  /** Reads of one application that wait for an index. One more is `overloaded`. */
  readonly readsMax: number
  /**
   * Said words kept for peers that have not finished them; of those that enough have taken only
   * what is unfinished here stays, and counts no more. Beyond it calls are `overloaded`.
   */
  readonly tailBytesMax: number
  /** The log of one node on disk. Beyond it calls are `overloaded`. */
  readonly logBytesMax: number
  readonly logSegmentBytes: number
  /** Inputs waiting for one node's engine. Beyond it requests are `overloaded`. */
  readonly inboxMax: number
  /** Inputs handled before the host yields to the event loop. */
  readonly drainInputsMax: number
  /** How long a host drains one node's inputs in a turn, while others on it wait. */
  readonly turnMs: number
  /** Effects of entry handlers running at once on one node. Beyond it calls are `overloaded`. */
  readonly runsMax: number
  /** Clients that a group file may list, about 150 bytes each. A longer list is refused. */
  readonly clientsListedMax: number
  /** Client links of one node. One more is refused. */
  readonly routesMax: number
  /**
   * Words of one peer that are tracked until their instance is finished, about 60 bytes each.
   * Above it a word counts all the same, and is asked for again: only then it can be told as done.
   */
  readonly unfinishedMax: number
  /**
   * Signatures in one message: certificates, signed words, requests. A message with more is not
   * said, and counts for nothing where it comes; checking 4,096 takes half a second of one core.
   */
  readonly proofsPerMessageMax: number
  /**
   * Parked messages of one author, at most `cursorBytesMax` of them in bytes; each keeps its
   * instance in memory. The oldest is dropped and counted: its vote stands, its handler is not run
   * again.
   */
  readonly parkedMax: number
  /**
   * Messages of all clients whose signatures are not verified yet; of one client at most as much as
   * is left free. A request beyond it is `overloaded`, a one-way is dropped.
   */
  readonly unverifiedBytesMax: number
  /**
   * Equivocations kept as evidence, one of each author, lane, index, phase and round. Beyond it the
   * author with most of them loses one, those without signatures first.
   */
  readonly evidenceMax: number
  /**
   * What a member may send, beside a burst of as much as `rateBurstMs` allows. Beyond it it gets no
   * more credit for a while, and nothing of it is lost. More than one core of a node can do.
   */
  readonly memberMessagesPerSecond: number
  readonly memberBytesPerSecond: number
  /**
   * The same of a client's link: what one core of a node can serve. A call beyond it is
   * `overloaded`, a one-way dropped.
   */
  readonly clientMessagesPerSecond: number
  readonly clientBytesPerSecond: number
  readonly rateBurstMs: number
  /**
   * Faults of a member, of which one is forgotten each second: malformed words, false signatures,
   * equivocations. One more keeps it out for `penaltyMsMin`, then twice as long each time.
   */
  readonly faultsMax: number
  readonly penaltyMsMin: number
  readonly penaltyMsMax: number
  /** Connections to a node's port from one address, half of all. One more is cut at once. */
  readonly connectionsPerAddressMax: number
  /** Of one address, beside a burst of `rateBurstMs`. One more is cut at once. */
  readonly handshakesPerSecond: number
  /** Streams whose handshake is not done: of one address, and in all. One more is refused. */
  readonly unprovenPerAddressMax: number
  readonly unprovenMax: number
  /** Addresses that are remembered. Those without connections are forgotten first. */
  readonly addressesMax: number
  /** Sessions of one kind of call in one client. When all windows are full, calls wait in order. */
  readonly clientSessionsMax: number
  /** A client's session without calls for longer takes no more: the next call opens a new one. */
  readonly clientIdleMsMax: number
  /** Calls open in one client. One more fails with `overloaded`. */
  readonly callsOpenMax: number
  /** `opened` of a session may be this far ahead of a node's clock. */
  readonly sessionAheadMsMax: number
  readonly callTimeoutMs: number
  readonly callTimeoutMsMax: number
  readonly retryMsMin: number
  readonly retryMsMax: number
  readonly redialMsMin: number
  readonly redialMsMax: number
  /** The longest back-off where one side refused the other for good: that takes an operator. */
  readonly redialRefusedMsMax: number
  /** One frame before the handshake is done. A larger one cuts the connection. */
  readonly handshakeFrameBytesMax: number
  /** From the first byte of a connection to its hello. */
  readonly helloTimeoutMs: number
  /** Of an HTTP/2 session at a node, without a byte. It takes no new streams then. */
  readonly sessionIdleMsMax: number
  /** Epochs of one group that live at one host. One more is refused when it is announced. */
  readonly epochsMax: number
  /**
   * How long an epoch that has a next one still takes calls, for clients that have not heard of it;
   * and after that, how long it repeats what was said and answered, where somebody misses it.
   */
  readonly epochLingerMs: number
  /**
   * A blob that members fetch from each other, such as an application's state. A larger one is the
   * author's mistake where it is offered, and is not fetched.
   */
  readonly fetchBytesMax: number
  /** Of a blob: what is checked, and asked for, in one piece. */
  readonly fetchChunkBytes: number
  /** Blobs that one node offers. One more takes the place of one that nobody fetches, or waits. */
  readonly fetchOffersMax: number
  /** A blob that nobody asked for for so long is offered no more. */
  readonly fetchIdleMs: number
  /** Of what one node fetches, and of what it gives each peer. Beyond it they wait. */
  readonly fetchBytesPerSecond: number
  /** Ranges of one blob that one peer is asked for at once. */
  readonly fetchAsksMax: number
  /** An ask without an answer for so long is made again; a peer with three in a row is dropped. */
  readonly fetchTimeoutMs: number
  /** A fetch of which nothing came for so long fails; the protocol is told to ask again. */
  readonly fetchStallMs: number
  /**
   * Traced calls that a node remembers, until a quarter of a second after their end. One more is
   * not traced here.
   */
  readonly tracesMax: number
  /** Events of one of them, about 200 bytes each; later ones are only counted. */
  readonly traceEventsMax: number
  /** Traced calls a second: whoever calls may ask for a trace of every call. */
  readonly tracesPerSecMax: number
  /** How often a host lets its engine flush acknowledgements when nothing else happens. */
  readonly tickMs: number
  /** How long a stopping host waits for its streams before it cuts them. */
  readonly shutdownMs: number
}

export const LIMITS: Limits = {
  membersMax: 1024,
  bodyBytesMax: 1_048_576,
  batchBytesMax: 2_097_152,
  batchBytesTarget: 16_384,
  batchEnvelopesTarget: 64,
  linkBytes: 16_777_216,
  creditBytes: 2_097_152,
  fragmentBytes: 65_536,
  channelsMax: 64,
  backlogBytesMax: 262_144,
  keepAliveMs: 15_000,
  silenceMsMax: 45_000,
  unaryInFlight: 64,
  unaryTimeoutMs: 5_000,
  unaryKeepAliveMs: 2_000,
  linkAgeMsMax: 86_400_000,
  streamBytesMax: 1_073_741_824,
  cursorBytesMax: 4_194_304,
  windowCalls: 1024,
  sessionsMax: 4096,
  sessionEvictAgeMs: 10_000,
  sessionsPerClientMax: 64,
  callsPerClientMax: 32_768,
  callsMax: 262_144,
  clientBytesMax: 33_554_432,
  clientsBytesMax: 268_435_456,
  earlyVotesMax: 4096,
  laneWindowMax: 4096,
  roundsMax: 64,
  applyAheadMax: 1024,
  applyItemsMax: 4096,
  readsMax: 1024,
  tailBytesMax: 67_108_864,
  logBytesMax: 1_073_741_824,
  logSegmentBytes: 67_108_864,
  inboxMax: 65_536,
  drainInputsMax: 1024,
  turnMs: 5,
  runsMax: 1024,
  clientsListedMax: 65_536,
  routesMax: 1024,
  unfinishedMax: 65_536,
  proofsPerMessageMax: 4096,
  parkedMax: 1024,
  unverifiedBytesMax: 67_108_864,
  evidenceMax: 64,
  memberMessagesPerSecond: 262_144,
  memberBytesPerSecond: 268_435_456,
  clientMessagesPerSecond: 131_072,
  clientBytesPerSecond: 67_108_864,
  rateBurstMs: 2_000,
  faultsMax: 64,
  penaltyMsMin: 1_000,
  penaltyMsMax: 60_000,
  connectionsPerAddressMax: 2048,
  handshakesPerSecond: 512,
  unprovenPerAddressMax: 256,
  unprovenMax: 1024,
  addressesMax: 8192,
  clientSessionsMax: 8,
  clientIdleMsMax: 30_000,
  callsOpenMax: 65_536,
  sessionAheadMsMax: 60_000,
  callTimeoutMs: 5_000,
  callTimeoutMsMax: 3_600_000,
  retryMsMin: 100,
  retryMsMax: 1_500,
  redialMsMin: 50,
  redialMsMax: 1_000,
  redialRefusedMsMax: 16_000,
  handshakeFrameBytesMax: 4_096,
  helloTimeoutMs: 5_000,
  sessionIdleMsMax: 300_000,
  epochsMax: 4,
  epochLingerMs: 60_000,
  fetchBytesMax: 268_435_456,
  fetchChunkBytes: 262_144,
  fetchOffersMax: 2,
  fetchIdleMs: 60_000,
  fetchBytesPerSecond: 33_554_432,
  fetchAsksMax: 4,
  fetchTimeoutMs: 5_000,
  fetchStallMs: 20_000,
  tracesMax: 256,
  traceEventsMax: 256,
  tracesPerSecMax: 128,
  tickMs: 50,
  shutdownMs: 1_000
}

/** Connections to a node's port: links of clients and members, and as many without a link. */
export const portConnectionsMax = ({ routesMax, membersMax }: Limits): number =>
  2 * (routesMax + membersMax)

/** Relations between the limits; a set of limits that breaks one is a bug, found at load. */
export const checkLimits = (l: Limits): void => {
  assert(l.batchBytesMax > l.bodyBytesMax + 1024, "a batch must hold the largest body")
  assert(l.batchBytesTarget <= l.batchBytesMax, "a batch must be flushed before it is too large")
  assert(l.linkBytes >= 2 * l.batchBytesMax, "a link must carry two batches")
  assert(l.creditBytes >= 2 * l.fragmentBytes, "credit must hold a fragment, and be told in time")
  assert(l.linkBytes >= 2 * l.creditBytes + l.bodyBytesMax, "replies alone must end no channel")
  assert(l.fragmentBytes + 1024 <= l.batchBytesMax, "a frame must hold a fragment")
  assert(l.creditBytes >= 4 * (l.batchBytesTarget + l.fragmentBytes), "credit must hold batches")
  assert(l.silenceMsMax >= 2 * l.keepAliveMs, "a live link must be heard in time")
  assert(l.silenceMsMax >= 2 * l.unaryKeepAliveMs, "a live link must be heard in time")
  assert(4 * (l.bodyBytesMax + 1024) <= 3 * l.creditBytes, "a word must go whole, as one call")
  assert(l.cursorBytesMax + 2 * l.batchBytesMax <= l.linkBytes, "words alone must never cut a link")
  assert(l.cursorBytesMax >= l.bodyBytesMax, "the cursor must be able to send the largest word")
  assert(l.tailBytesMax >= 2 * l.cursorBytesMax, "the tail must hold what is on the way to a peer")
  assert(l.earlyVotesMax >= l.windowCalls, "a sender's share must hold one vote of each open call")
  assert(l.logSegmentBytes >= 2 * l.batchBytesMax, "a segment must hold large records")
  assert(l.clientBytesMax >= 2 * l.bodyBytesMax, "a client must have room for a call's two bodies")
  assert(l.clientsBytesMax >= 2 * l.clientBytesMax, "one client must not fill the room of all")
  assert(l.callsPerClientMax >= 2 * l.windowCalls, "a client must fill a window and its late calls")
  assert(l.callsMax >= 2 * l.callsPerClientMax, "one client must not take the calls of all")
  assert(l.unverifiedBytesMax >= 4 * l.bodyBytesMax, "a few clients must be verified at once")
  assert(l.inboxMax >= l.drainInputsMax, "the inbox must hold one turn")
  assert(l.retryMsMin <= l.retryMsMax && l.redialMsMin <= l.redialMsMax, "back-off must not shrink")
  assert(l.epochLingerMs > l.retryMsMax, "who tries again must still find the epoch")
  assert(l.fetchStallMs > l.fetchTimeoutMs, "a fetch must outlive one slow peer")
  const burst = l.rateBurstMs / 1_000
  assert(l.memberBytesPerSecond * burst >= l.tailBytesMax, "a member's backlog is no spam")
  assert(l.clientMessagesPerSecond * burst >= 2 * l.callsOpenMax, "a client may link twice at once")
  assert(l.clientBytesPerSecond * burst >= 2 * l.clientBytesMax, "a client may link twice at once")
  assert(l.connectionsPerAddressMax <= portConnectionsMax(l) / 2, "one address must not fill it")
  assert(l.addressesMax > portConnectionsMax(l), "a connection's address is never forgotten")
  assert(l.unprovenMax >= 2 * l.unprovenPerAddressMax, "one address must not take all streams")
  assert(l.penaltyMsMin <= l.penaltyMsMax && l.faultsMax >= 0, "penalties must not shrink")
  assert(l.shutdownMs < 2_000, "a stop takes less than two seconds")
}
checkLimits(LIMITS)
