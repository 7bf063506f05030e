import CCurl
import HTTPMessage

/// One request on its way: what libcurl's callbacks fill. Belongs to the client's loop.
final class Exchange {
    /// Why we ended it ourselves.
    enum Stop { case tooLarge, cancelled, wouldRepeat }

    /// Header bytes that are kept of an answer; libcurl's own bound is 300 KiB.
    static let maximumHeaders = 64 * 1_024

    let id: UInt64
    let isSafeToRepeat: Bool
    let maximumBody: Int
    let onHead: (@Sendable (HTTPResponse) -> Void)?
    let onChunk: (@Sendable ([UInt8]) -> Void)?
    var continuation: CheckedContinuation<HTTPOutcome, Never>?
    /// Names that no message may hold.
    var hosts: [String] = []
    var usesProxy = false

    /// Times that libcurl had a working connection and was about to write the request.
    private(set) var starts = 0
    private(set) var stop: Stop?
    private(set) var headers: [HTTPHeader] = []
    private(set) var body: [UInt8] = []
    private(set) var hasAnswerBytes = false
    private var status = 0
    private var headerBytes = 0
    /// The empty line after the headers has come. libcurl 7.88.1 takes a head that is cut off for a complete answer (seen).
    private(set) var isHeadComplete = false

    let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var headerList: UnsafeMutablePointer<curl_slist>?

    init(
        id: UInt64, isSafeToRepeat: Bool, maximumBody: Int, onHead: (@Sendable (HTTPResponse) -> Void)?,
        onChunk: (@Sendable ([UInt8]) -> Void)?
    ) {
        self.id = id
        self.isSafeToRepeat = isSafeToRepeat
        self.maximumBody = maximumBody
        self.onHead = onHead
        self.onChunk = onChunk
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        curl_slist_free_all(headerList)
        errorText.deallocate()
    }

    /// Whether a byte of the request may have left: see ``HTTPClient`` for why this is not a count of bytes.
    var mayBeSent: Bool { starts > 0 }

    func end(with outcome: HTTPOutcome) {
        continuation?.resume(returning: outcome)
        continuation = nil
    }

    /// libcurl's code, put right where 7.88.1 errs about whether the answer is complete.
    func verdict(on code: CURLcode) -> CURLcode {
        // It takes a head that is cut off for an answer (seen).
        if code == CURLE_OK, !isHeadComplete { return CURLE_PARTIAL_FILE }
        // An HTTP/2 server may answer completely before it has read the body, and then reset the stream without error: that
        // answer counts (RFC 9113, section 8.1). libcurl calls it a stream error (seen with nginx); where it has lost the answer
        // too, it stays unknown.
        if code == CURLE_HTTP2_STREAM, isHeadComplete, status >= 200,
            let length = headers.first(where: { $0.name == "content-length" }),
            Int(length.value) == body.count
        {
            return CURLE_OK
        }
        return code
    }

    func cancel() { stop = .cancelled }

    /// The lines in libcurl's form. The list lives as long as the exchange.
    func makeHeaderList(_ lines: [String]) throws(HTTPFailure) -> UnsafeMutablePointer<curl_slist>? {
        for line in lines {
            guard let longer = curl_slist_append(headerList, line) else { throw HTTPFailure(.other, "out of memory") }
            headerList = longer
        }
        return headerList
    }

    // MARK: Called by libcurl

    /// A connection stands and the request is to be written now. `false` stops it.
    func beforeRequest() -> Bool {
        if stop != nil { return false }
        if starts > 0, !isSafeToRepeat {
            stop = .wouldRepeat
            return false
        }
        starts += 1
        return true
    }

    /// One line of the head, with its line end; interim answers (1xx) begin a new head.
    func receive(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        hasAnswerBytes = true
        headerBytes += bytes.count
        guard headerBytes <= Self.maximumHeaders else {
            stop = .tooLarge
            return false
        }
        let line = bytes.prefix { $0 != 0x0D && $0 != 0x0A }
        if line.starts(with: "HTTP/".utf8) {
            headers.removeAll()
            isHeadComplete = false
            status = line.split(separator: 0x20).dropFirst().first.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
        } else if line.isEmpty {
            isHeadComplete = true
            if status >= 200 { onHead?(HTTPResponse(status: status, headers: headers)) }
        } else if !isHeadComplete, let colon = line.firstIndex(of: UInt8(ascii: ":")) {
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            let value = line[(colon + 1)...].drop { $0 == 0x20 || $0 == 0x09 }
            headers.append(HTTPHeader(name, String(decoding: value, as: UTF8.self).trimmingTrailingSpace()))
        }
        return true
    }

    func receive(body bytes: UnsafeRawBufferPointer) -> Bool {
        hasAnswerBytes = true
        if stop != nil { return false }
        if let onChunk, (200..<300).contains(status) {
            onChunk(Array(bytes))
            return true
        }
        guard body.count + bytes.count <= maximumBody else {
            stop = .tooLarge
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }
}

extension String {
    fileprivate func trimmingTrailingSpace() -> String {
        var text = Substring(self)
        while let last = text.utf8.last, last == 0x20 || last == 0x09 { text = text.dropLast() }
        return String(text)
    }
}
