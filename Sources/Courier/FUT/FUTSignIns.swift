import HTTPMessage
import Journal
public import Trust
public import Vitals

/// Sign-ins of citizens that are under way: begun by a technician or the citizen at the command line, followed by whoever asks.
///
/// Nothing runs by itself: the one who asks how it goes makes it go on, and a sign-in that nobody asks about any more ends when its
/// code does.
public actor FUTSignIns {
    /// How the citizen signs in on a box without a keyboard.
    public enum Way: String, Hashable, Sendable, CaseIterable {
        /// A short code, typed in on any phone (RFC 8628), where the realm offers it.
        case deviceCode = "device-code"
        /// A browser on the hub itself returns to a listener on 127.0.0.1 (RFC 8252 section 7.3).
        case loopback
        /// The citizen copies the address that the browser was sent to.
        case paste
    }

    /// What the person is shown.
    public struct Invitation: Sendable {
        public var id: Int
        public var way: Way
        /// Where to go.
        public var address: String
        /// For the person's eyes, and for no log.
        public var userCode: Secret?
        /// The address with the code in it.
        public var completeAddress: Secret?
        public var redirect: String?
        public var expires: Instant
    }

    public enum Progress: Sendable {
        case waiting(until: Instant)
        case signedIn
        case failed(reason: String)
    }

    private struct UnderWay {
        var receiver: FUTReceiver
        var citizen: FUTCitizen
        var flow: Flow
        var actor: String
    }

    private enum Flow {
        case device(DeviceAuthorizationGrant)
        case code(AuthorizationCodeFlow, expires: Instant)
        case ended(Progress)
    }

    private var underWay: [Int: UnderWay] = [:]
    private var last = 0
    private let opened: @Sendable (_ channel: String) async -> Void

    /// As many as a technician has open at a time, and a few that were forgotten; the oldest goes.
    private static let most = 16

    /// - Parameter opened: a citizen signed in; what held their channel is mended.
    public init(opened: @escaping @Sendable (_ channel: String) async -> Void) { self.opened = opened }

    public func begin(
        _ way: Way, at receiver: FUTReceiver, for patient: PatientAlias, actor: String
    ) async throws(FUTSignInFailure) -> Invitation {
        if way != .deviceCode, receiver.settings.redirect == nil {
            throw FUTSignInFailure("the configuration names no address that the browser returns to (sign_in.redirect)")
        }
        let server: AuthorizationServer
        switch await receiver.server() {
        case .success(let known): server = known
        case .failure(let unavailable): throw FUTSignInFailure(unavailable.reason)
        }
        let citizen = receiver.citizen(patient)
        let now = receiver.clock.now().wall
        var generator = SystemRandomNumberGenerator()
        do throws(SignInError) {
            switch way {
            case .deviceCode:
                var grant = try DeviceAuthorizationGrant(server: server, client: receiver.settings.client, using: &generator)
                guard case .send(let request) = try grant.tick(at: now) else { throw .outOfTurn }
                let outcome = await receiver.client.send(request)
                guard case .show(let invitation) = try grant.receive(outcome, at: receiver.clock.now().wall) else {
                    throw .outOfTurn
                }
                return Invitation(
                    id: keep(.device(grant), receiver, citizen, actor), way: way,
                    address: invitation.verificationAddress.text, userCode: invitation.userCode,
                    completeAddress: invitation.completeAddress, redirect: nil, expires: invitation.expiresAt)
            case .loopback, .paste:
                guard let redirect = receiver.settings.redirect else { throw .notTheRedirect }
                let flow = AuthorizationCodeFlow(
                    server: server, client: receiver.settings.client, redirect: redirect, at: now, using: &generator)
                let expires = now + AuthorizationCodeFlow.patience
                return Invitation(
                    id: keep(.code(flow, expires: expires), receiver, citizen, actor), way: way, address: flow.url.text,
                    userCode: nil, completeAddress: nil, redirect: redirect.text, expires: expires)
            }
        } catch {
            throw FUTSignInFailure(error.description)
        }
    }

    private func keep(_ flow: Flow, _ receiver: FUTReceiver, _ citizen: FUTCitizen, _ actor: String) -> Int {
        last += 1
        underWay[last] = UnderWay(receiver: receiver, citizen: citizen, flow: flow, actor: actor)
        underWay[last - Self.most] = nil
        return last
    }

    /// How it goes; asks the server where it is time to. `nil` where there is no such sign-in.
    public func progress(of id: Int) async -> Progress? {
        guard var one = underWay[id] else { return nil }
        let now = one.receiver.clock.now().wall
        switch one.flow {
        case .ended(let progress): return progress
        case .code(_, let expires):
            return now < expires ? .waiting(until: expires) : end(id, .failed(reason: SignInError.expired.description))
        case .device(var grant):
            do throws(SignInError) {
                let step = try grant.tick(at: now)
                one.flow = .device(grant)
                underWay[id] = one
                guard case .send(let request) = step else {
                    if case .wait(let until) = step { return .waiting(until: until) }
                    return .waiting(until: now)
                }
                let outcome = await one.receiver.client.send(request)
                switch try grant.receive(outcome, at: one.receiver.clock.now().wall) {
                case .signedIn(let signIn): return await take(signIn, id, one)
                case .wait(let until):
                    one.flow = .device(grant)
                    underWay[id] = one
                    return .waiting(until: until)
                case .show, .send: return .waiting(until: now)
                }
            } catch .outOfTurn {
                // Somebody else's question is under way.
                return .waiting(until: now)
            } catch {
                return end(id, .failed(reason: error.description))
            }
        }
    }

    /// The answer of a browser: the whole address that it was sent to, or the target of the request that reached the loopback listener
    /// with its `Host`.
    public func answer(_ id: Int, address: String, host: String?) async -> Progress? {
        guard var one = underWay[id] else { return nil }
        guard case .code(var flow, let expires) = one.flow else { return await progress(of: id) }
        let now = one.receiver.clock.now().wall
        do throws(SignInError) {
            let request =
                if let host {
                    try flow.receive(loopbackTarget: address, host: host, at: now)
                } else {
                    try flow.receive(returned: address, at: now)
                }
            one.flow = .code(flow, expires: expires)
            underWay[id] = one
            let outcome = await one.receiver.client.send(request)
            return await take(try flow.receive(outcome, at: one.receiver.clock.now().wall), id, one)
        } catch {
            switch error {
            // A stranger's page or a wrong copy: the sign-in goes on.
            case .notTheRedirect, .unreadableAddress, .wrongState: return .failed(reason: error.description)
            default: return end(id, .failed(reason: error.description))
            }
        }
    }

    private func take(_ signIn: SignIn, _ id: Int, _ one: UnderWay) async -> Progress {
        let (citizen, actor) = (one.citizen, one.actor)
        do throws(FUTSignInFailure) {
            try await citizen.keeper.signIn(signIn)
        } catch {
            return end(id, .failed(reason: error.description))
        }
        let now = one.receiver.clock.now().wall
        // A failure here leaves conditions that the next look clears.
        try? await one.receiver.journal.write { tx in
            try tx.clear(.signInNeeded, subject: citizen.channel)
            try tx.clear(.signInEnding, subject: citizen.channel)
            try tx.audit(at: now, actor: actor, action: "sign-in", subject: citizen.channel)
        }
        await opened(citizen.channel)
        return end(id, .signedIn)
    }

    private func end(_ id: Int, _ progress: Progress) -> Progress {
        underWay[id]?.flow = .ended(progress)
        return progress
    }
}
