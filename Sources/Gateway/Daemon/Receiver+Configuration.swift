import Catalogue
import Courier
import Destinations
import EventLoop
import ExactJSON
import HTTP
import HTTPMessage
import HubAPI
import Journal
import Trust
import Vitals

extension Receiver {
    /// The configured receiver with its client and credentials.
    ///
    /// - Parameter keeper: of the HelseID client of a Norwegian one.
    init(
        _ configured: Configuration.Receiver, gateway: GatewayIdentity, loop: EventLoop, journal: Journal,
        clock: any Vitals.Clock, fault: Fault? = nil, keeper: HelseIDKeeper?
    ) throws(OperationError) {
        var rules = RoundingTable.standard.rules
        for rule in configured.rounding { rules[rule.unit] = .init(converted: rule.converted, sent: rule.sent) }
        let settings = ReceiverSettings(
            name: configured.name, kind: DestinationKind(configured.kind), baseURL: configured.base,
            rounding: RoundingTable(rules), maximumActs: configured.maximumActs,
            whenUncertain: configured.unknownOutcome == .resend ? .resend : .hold,
            phdEdition: configured.profile == .phd1 ? .v1 : .v2)
        var client = configured.clientSettings
        client.authorities = configured.caFile.map { .file($0) }
        client.identity = configured.certificate.map {
            .init(certificate: .file($0.certificateFile), key: .file($0.keyFile))
        }
        let http = HTTPClient(settings: client, loop: loop)
        let settling = Duration.seconds(configured.timeouts.settle)
        if let fut = configured.fut {
            let table = try fut.table(base: configured.base)
            self.init(
                destination: FUTDestination(
                    settings: settings, fut: table, retraction: fut.retraction == .patch ? .patch : .validity), client: http,
                desks: FUTReceiver(
                    try fut.settings(name: configured.name, table: table, usesBeforeDurable: fault == .useBeforeDurable),
                    client: http, journal: journal, clock: clock),
                gateway: gateway, settling: settling, isChronological: true, pace: Self.futPace)
            return
        }
        if let norway = configured.norway, let keeper, let destination = norway.service.destination(settings) {
            self.init(
                destination: destination, client: http,
                desks: HelseIDReceiver(
                    name: configured.name, client: norway.helseID.session, keeper: keeper, journal: journal),
                gateway: gateway, settling: settling)
            return
        }
        let credential: any CredentialSource =
            switch configured.authentication {
            case .none: NoCredential()
            case .bearer(let file): BearerTokenFile(path: file)
            }
        self.init(
            destination: PHDDestination(settings: settings), client: http, credential: credential, gateway: gateway,
            settling: settling)
        isChronological = configured.order == .chronological
    }

    /// The guide calls bulk uploads misuse and names no rate: one measurement a second is slower than any person measures, and
    /// faster than any backlog of a home grows.
    private static let futPace = Duration.seconds(1)
}

extension Configuration.Receiver.FUT {
    /// Codes and hosts: the configured table over the published values.
    func table(base: String) throws(OperationError) -> FUTSettings {
        guard let codesFile else { return .published().placed(at: base) }
        func unusable(_ why: String) -> OperationError {
            OperationError(
                "The code table \(codesFile) cannot be used.", why: why, remedy: "Start again from config/fut-codes.json.",
                exitCode: 78
            )
        }
        guard let bytes = SmallFile.read(codesFile) else { throw unusable("It is not there, or not ours to read.") }
        let json: JSON
        do throws(JSONError) {
            json = try JSON(parsing: bytes)
        } catch {
            throw unusable("It is no JSON: \(error).")
        }
        do throws(FUTSettings.TableError) {
            var table = try FUTSettings(table: json)
            if json["services"] == nil { table = table.placed(at: base) }
            table.services[.measurement] = base
            return table
        } catch {
            throw unusable("\(error.path): expected \(error.expected).")
        }
    }

    func settings(name: String, table: FUTSettings, usesBeforeDurable: Bool) throws(OperationError) -> FUTReceiver.Settings {
        var address: EndpointURL?
        if let redirect {
            do throws(EndpointURLError) {
                address = try EndpointURL(redirect)
            } catch {
                throw OperationError(
                    "The receiver \(name) cannot be used.", why: "sign_in.redirect: \(error).",
                    remedy: "Write it as FUT registered it, such as http://127.0.0.1:4711/callback.", exitCode: 78)
            }
        }
        return FUTReceiver.Settings(
            name: name, fut: table, issuer: issuer,
            client: OAuthClient(identifier: client, scopes: ["openid", "profile", "offline_access"]), redirect: address,
            idle: .seconds(idleDays * 86_400), maximum: maximumDays.map { .seconds($0 * 86_400) },
            usesBeforeDurable: usesBeforeDurable)
    }
}

extension DestinationKind {
    fileprivate init(_ kind: Configuration.Receiver.Kind) {
        switch kind {
        case .phd: self = .phd
        case .fut: self = .fut
        case .pmd: self = .pmd
        case .vkp: self = .vkp
        }
    }
}

extension Configuration.Receiver {
    /// What every client of this receiver's has in common: its own and its token server's.
    var clientSettings: HTTPClientSettings {
        var client = HTTPClientSettings()
        client.proxy = proxy.map { .init($0) }
        client.connectTimeout = .seconds(timeouts.connect)
        client.stallTimeout = .seconds(timeouts.answer)
        client.requestTimeout = .seconds(timeouts.total)
        client.userAgent = "vitalgate/" + Daemon.version
        return client
    }
}

/// A bearer token in a file that somebody else renews. Read before each request: a file of a hundred bytes in the page cache.
struct BearerTokenFile: CredentialSource {
    let path: String

    func headers() async -> [HTTPHeader] {
        guard let token else { return [] }
        return [HTTPHeader("authorization", "Bearer " + token)]
    }

    /// Whether there is a token at all to try once more: it may have been renewed since the refused request was made.
    func refresh() async -> Bool { token != nil }

    private var token: String? {
        guard let bytes = SmallFile.read(path) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        return text.isEmpty ? nil : text
    }
}
