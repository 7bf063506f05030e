import Catalogue
import Courier
import Destinations
import EventLoop
import HTTP
import HTTPMessage
import HubAPI
import Vitals

extension Receiver {
    /// The configured receiver with its client and credential.
    init(_ configured: Configuration.Receiver, gateway: GatewayIdentity, loop: EventLoop) throws(OperationError) {
        var rules = RoundingTable.standard.rules
        for rule in configured.rounding { rules[rule.unit] = .init(converted: rule.converted, sent: rule.sent) }
        let settings = ReceiverSettings(
            name: configured.name, kind: DestinationKind(configured.kind), baseURL: configured.base,
            rounding: RoundingTable(rules), maximumActs: configured.maximumActs,
            whenUncertain: configured.unknownOutcome == .resend ? .resend : .hold)
        guard let destination = settings.kind.destination(settings) else {
            throw OperationError(
                "The receiver \(configured.name) cannot be used.", why: "This release does not speak \(settings.kind.rawValue).",
                remedy: "Use kind = \"phd\", or update vitalgate.", exitCode: 78)
        }
        var client = HTTPClientSettings()
        client.authorities = configured.caFile.map { .file($0) }
        client.identity = configured.certificate.map {
            .init(certificate: .file($0.certificateFile), key: .file($0.keyFile))
        }
        client.proxy = configured.proxy.map { .init($0) }
        client.connectTimeout = .seconds(configured.timeouts.connect)
        client.stallTimeout = .seconds(configured.timeouts.answer)
        client.requestTimeout = .seconds(configured.timeouts.total)
        client.userAgent = "vitalgate/" + Daemon.version
        let credential: any CredentialSource =
            switch configured.authentication {
            case .none: NoCredential()
            case .bearer(let file): BearerTokenFile(path: file)
            }
        self.init(
            destination: destination, client: HTTPClient(settings: client, loop: loop), credential: credential, gateway: gateway,
            settling: .seconds(configured.timeouts.settle))
    }
}

extension DestinationKind {
    fileprivate init(_ kind: Configuration.Receiver.Kind) {
        switch kind {
        case .phd: self = .phd
        }
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
