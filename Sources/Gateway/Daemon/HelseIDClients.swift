import Courier
import Destinations
import EventLoop
import ExactJSON
import HTTP
import HubAPI
import Journal
import Trust
import Vitals

/// The configured clients at HelseID: one each, however many receivers use it, so that they share keys and tokens.
struct HelseIDClients {
    /// A loop each: HelseID's name look-up delays no receiver that has a token (R6).
    private(set) var loops: [EventLoop] = []
    private var keepers: [HelseIDKeeper.Client: HelseIDKeeper] = [:]

    /// `nil` for a receiver that needs none.
    mutating func keeper(
        of receiver: Configuration.Receiver, journal: Journal, clock: any Vitals.Clock
    ) throws(OperationError) -> HelseIDKeeper? {
        guard let helseID = receiver.norway?.helseID else { return nil }
        let client = HelseIDKeeper.Client(issuer: helseID.issuer, identifier: helseID.client)
        if let known = keepers[client] { return known }
        let loop = try EventLoop.made("vg-helseid")
        loops.append(loop)
        var settings = receiver.clientSettings
        settings.authorities = helseID.caFile.map { .file($0) }
        let keeper = HelseIDKeeper(
            client, source: try helseID.source, http: HTTPClient(settings: settings, loop: loop), journal: journal, clock: clock)
        keepers[client] = keeper
        return keeper
    }
}

extension Configuration.Receiver.Norway.HelseID {
    var source: HelseIDKeeper.Source {
        get throws(OperationError) {
            guard let keyFile else { return .journal(algorithm) }
            func unusable(_ why: String) -> OperationError {
                OperationError(
                    "The key \(keyFile) cannot be used.", why: why,
                    remedy: "Put the client's private key there as a JWK, or take key_file out: the hub makes its own.",
                    exitCode: 78)
            }
            guard let bytes = SmallFile.read(keyFile) else { throw unusable("It is not there, or not ours to read.") }
            guard let json = try? JSON(parsing: bytes) else { throw unusable("It is no JSON.") }
            do throws(JWKError) {
                return .given(try PrivateJWK(json: json))
            } catch {
                throw unusable("\(error).")
            }
        }
    }

    /// What a token is asked for.
    var session: HelseIDClient {
        HelseIDClient(
            issuer: issuer, clientID: client, scopes: scopes, organisation: organisation,
            tokenType: token == .dpop ? .dpop : .bearer, assertionLifetime: .seconds(assertionSeconds))
    }
}

extension Configuration.Receiver.Norway.Service {
    /// `nil` where it is switched off.
    func destination(_ settings: ReceiverSettings) -> (any Destination)? {
        switch self {
        case .pmd(let pmd): PMDDestination(settings: settings, pmd: pmd)
        case .vkp(let vkp): vkp.map { VKPDestination(settings: settings, vkp: $0) }
        }
    }
}
