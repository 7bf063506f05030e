import CCurl
import HTTPMessage

/// What an ended exchange means, from libcurl's code and from how far it came.
struct Ending {
    var code: CURLcode
    /// libcurl's own words; they may name hosts.
    var text: String
    var mayBeSent: Bool
    var hasAnswerBytes: Bool
    var isNewConnection: Bool
    var stop: Exchange.Stop?
    var usesProxy: Bool
    /// Names that must not come into a message.
    var hosts: [String]

    /// `nil` for a complete answer.
    var outcome: HTTPOutcome? {
        guard stop != nil || code != CURLE_OK else { return nil }
        let failure = HTTPFailure(kind, message)
        // A receiver that refuses our certificate says so in TLS 1.3 after we have written (RFC 8446, section 4.4.2.4): its
        // handshake never ended, so no request of this connection has come through to it. Where a reset overtakes the alert
        // (seen), we cannot tell, and it stays unknown.
        let isRefusedAtHandshake = kind == .certificate && isNewConnection && !hasAnswerBytes
        return mayBeSent && !isRefusedAtHandshake ? .unknown(failure) : .notSent(failure)
    }

    private var kind: HTTPFailure.Kind {
        switch stop {
        case .cancelled: return .cancelled
        case .tooLarge: return .tooLarge
        case .wouldRepeat: return .interrupted
        case nil: break
        }
        switch code {
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: return mayBeSent ? .other : .invalidURL
        case CURLE_COULDNT_RESOLVE_HOST: return .resolve
        case CURLE_COULDNT_RESOLVE_PROXY, CURLE_PROXY: return .proxy
        case CURLE_COULDNT_CONNECT: return usesProxy ? .proxy : .connect
        case CURLE_OPERATION_TIMEDOUT: return .timeout
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_CLIENTCERT:
            return .certificate
        case CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE: return .credential
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_USE_SSL_FAILED:
            return isAlertAboutOurCertificate ? .certificate : .tls
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM:
            if isAlertAboutOurCertificate { return .certificate }
            // Before the request only the proxy has been spoken to, or TLS.
            return mayBeSent ? .interrupted : usesProxy ? .proxy : .tls
        default: return .other
        }
    }

    /// OpenSSL's names of the alerts by which a peer refuses a certificate.
    private var isAlertAboutOurCertificate: Bool {
        text.contains("alert") && (text.contains("certificate") || text.contains("unknown ca"))
    }

    private var message: String {
        switch stop {
        case .cancelled: return "cancelled"
        case .tooLarge: return "the answer is larger than the limit"
        case .wouldRepeat: return "the connection ended after the request; not sent a second time"
        case nil: break
        }
        let general = String(cString: curl_easy_strerror(code))
        // Later texts may quote the answer, and an answer may quote health data.
        guard !mayBeSent || kind == .certificate, !text.isEmpty else { return general }
        return hosts.filter { !$0.isEmpty }.sorted { $0.utf8.count > $1.utf8.count }.reduce(text) { text, host in
            text.split(separator: host, omittingEmptySubsequences: false).joined(separator: "(host)")
        }
    }
}
