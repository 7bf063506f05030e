import Destinations
import HTTPMessage
public import Journal
import Steward
public import Trust
public import Vitals

/// A receiver behind HelseID: a channel for each patient (R6), one client and token for all of them.
public final class HelseIDReceiver: ChannelDesks {
    /// The receiver's name.
    public let name: String
    public let keeper: HelseIDKeeper
    let client: HelseIDClient
    let journal: Journal

    public init(name: String, client: HelseIDClient, keeper: HelseIDKeeper, journal: Journal) {
        self.name = name
        self.client = client
        self.keeper = keeper
        self.journal = journal
    }

    public func channel(for patient: PatientAlias) -> String { ReceiverSettings.channel(of: name, for: patient) }

    public func desk(for patient: PatientAlias) -> any ChannelDesk { HelseIDDesk(receiver: self, patient: patient) }
}

/// One patient at a receiver behind HelseID. The receiver knows the patient by a national number, which is no alias: aliases stand in
/// lists and commands, and a channel's name is made of one (R8).
struct HelseIDDesk: ChannelDesk {
    let receiver: HelseIDReceiver
    let patient: PatientAlias

    func makeReady(for act: Int64) async throws(JournalError) -> DispatchVerdict? {
        let (name, patient) = (receiver.name, patient)
        guard try await receiver.journal.read({ tx in try tx.identifier(of: patient, at: name) }) == nil else { return nil }
        return .holdChannel(.identifierNeeded, reason: "The receiver's number of this patient is not known.")
    }

    func route(_ items: [ItemRecord], of act: Act, in tx: Transaction, now: ClockReading) throws(JournalError) -> [Route] {
        // A measurement of a time of which it was said that nothing was measured: its document follows that one up. What was not said yet
        // is not said any more.
        var target = ""
        for var notice in try tx.notices(channel: receiver.channel(for: patient), covering: act.effective.instant) {
            guard let slot = VKPSlot(json: notice.slot),
                act.measurement.readings.contains(where: { slot.kinds.contains($0.kind) })
            else { continue }
            switch notice.state {
            case .waiting:
                notice.state = .withdrawn
                notice.reason = "measured"
                try tx.setNotice(notice)
            case .sending, .delivered, .uncertain: target = VKPTarget(late: slot).json.text
            case .quarantined, .held, .withdrawn: continue
            }
        }
        return items.map { Route($0.id, .send(target: target)) }
    }

    func authorize(_ request: HTTPRequest, target: String) async -> Authorization {
        let token: HelseIDToken
        do throws(JournalError) {
            switch try await receiver.keeper.token(for: receiver.client) {
            case .success(let granted): token = granted
            case .failure(let unavailable): return .verdict(unavailable.verdict)
            }
        } catch {
            return .verdict(.retry(kind: "journal", reason: error.what))
        }
        switch await receiver.keeper.authorise(request, with: token, for: receiver.client) {
        case .success(let request): return .request(request)
        case .failure(let unavailable): return .verdict(unavailable.verdict)
        }
    }

    func received(
        _ response: HTTPResponse, to request: HTTPRequest, sent: ClockReading, isRepeated: Bool
    ) async -> Reception {
        let answer = await receiver.keeper.received(
            response, from: request.url, sent: sent, isRepeated: isRepeated, for: receiver.client)
        switch answer {
        // The token is dropped already; the destination reads the 401.
        case .settled, .needsNewToken: return .passed
        case .sendAgain: return .sendAgain
        case .refused(let error): return .verdict(HelseIDKeeper.Unavailable.error(error).verdict)
        }
    }

    /// The session has dropped what was refused.
    func renewCredential() async -> Bool { true }
}

extension HelseIDKeeper.Unavailable {
    /// As a verdict on the channel. It waits and tries again by itself, whatever the cause: the session has the pauses, a person's part is a
    /// condition of the client's own, and no reading is at fault.
    var verdict: DispatchVerdict {
        switch self {
        case .noKey: .retry(kind: "no-key", reason: "The hub has no key for HelseID yet.")
        case .clock: .retry(kind: "clock", reason: "The hub's clock is not synchronised.")
        case .ended: .retry(kind: "cancelled", reason: "The daemon ends.")
        case .error(let error): .retry(kind: error.kind, reason: "\(error)")
        }
    }
}

extension HelseIDError {
    /// A short name for the channel's row.
    fileprivate var kind: String {
        switch self {
        case .unreachable(let failure): failure.kind.rawValue
        case .server(let status): "http-\(status)"
        case .clockSkew: "clock-skew"
        case .nonceLoop, .nonceMissing: "nonce"
        default: "credential"
        }
    }
}
