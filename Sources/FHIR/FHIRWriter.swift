public import ExactJSON

/// Writes compact JSON in the order in which it is told, straight into bytes.
///
/// The same keys and values give the same bytes. It is the caller's duty to close what it opens; the resources of this room do.
public struct FHIRWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    private var needsComma = false

    /// A blood pressure with its devices is about 5 kB.
    public init(capacity: Int = 8_192) { bytes.reserveCapacity(capacity) }

    // MARK: Structure

    @inline(__always)
    public mutating func object(_ content: (inout FHIRWriter) -> Void) {
        open(UInt8(ascii: "{"))
        content(&self)
        close(UInt8(ascii: "}"))
    }

    public mutating func object(_ key: StaticString, _ content: (inout FHIRWriter) -> Void) {
        self.key(key)
        object(content)
    }

    /// An array of the elements; nothing at all where there are none, since FHIR has no empty arrays.
    public mutating func array<Element>(
        _ key: StaticString, _ elements: [Element], _ content: (Element, inout FHIRWriter) -> Void
    ) {
        guard !elements.isEmpty else { return }
        self.key(key)
        open(UInt8(ascii: "["))
        for element in elements { content(element, &self) }
        close(UInt8(ascii: "]"))
    }

    public mutating func array<Element: FHIRElement>(_ key: StaticString, _ elements: [Element]) {
        array(key, elements) { element, writer in element.write(to: &writer) }
    }

    public mutating func element(_ key: StaticString, _ element: (some FHIRElement)?) {
        guard let element else { return }
        self.key(key)
        element.write(to: &self)
    }

    // MARK: Values

    public mutating func string(_ key: StaticString, _ value: String?) {
        guard let value else { return }
        self.key(key)
        string(value)
    }

    public mutating func string(_ value: String) {
        separate()
        quote(value)
        needsComma = true
    }

    public mutating func bool(_ key: StaticString, _ value: Bool?) {
        guard let value else { return }
        self.key(key)
        raw(value ? "true" : "false")
    }

    public mutating func number(_ key: StaticString, _ value: ExactDecimal?) {
        guard let value else { return }
        self.key(key)
        raw(value.description)
    }

    // MARK: Bytes

    private mutating func key(_ key: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        key.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    private mutating func raw(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
        needsComma = true
    }

    private mutating func open(_ byte: UInt8) {
        separate()
        bytes.append(byte)
        needsComma = false
    }

    private mutating func close(_ byte: UInt8) {
        bytes.append(byte)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func quote(_ text: String) {
        let isWritten: Bool? = text.utf8.withContiguousStorageIfAvailable { buffer in
            for byte in buffer where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F {
                return false
            }
            bytes.append(UInt8(ascii: "\""))
            bytes.append(contentsOf: buffer)
            bytes.append(UInt8(ascii: "\""))
            return true
        }
        // The escapes of the exact JSON room, so that both writers agree.
        if isWritten != true { bytes.append(contentsOf: JSON.string(text).bytes) }
    }
}

/// A datatype or backbone element of FHIR R4 that we write.
public protocol FHIRElement: Hashable, Sendable {
    func write(to writer: inout FHIRWriter)
}

/// A resource of FHIR R4 that we write.
public protocol FHIRResource: FHIRElement {
    static var resourceType: String { get }
}

extension FHIRElement {
    /// The element as compact JSON.
    public var bytes: [UInt8] {
        var writer = FHIRWriter()
        write(to: &writer)
        return writer.bytes
    }
}

/// The datatypes and resources of FHIR R4 (4.0.1), as far as we write or read them.
///
/// A namespace: `Quantity` and `Device` are words of the domain too.
public enum R4 {}
