public import Vitals

/// The return parameters of Command Complete, by command. ``ControllerInfo`` is that of Read Controller Information.
///
/// Source: BlueZ doc/mgmt-api.txt, the return parameters of each command.
public enum ManagementReply {
    /// Read Management Version Information: `version | revision (2)`; 1.22 is Linux 6.1's.
    public static func version(parameters: [UInt8]) throws(ManagementError) -> (version: UInt8, revision: UInt16) {
        try Management.reading(parameters) { reader throws(DecodeError) in
            (try reader.u8("version"), try reader.u16("revision"))
        }
    }

    /// Read Controller Index List: `count (2) | index (2)...`
    public static func indexList(parameters: [UInt8]) throws(ManagementError) -> [UInt16] {
        try list(parameters) { reader throws(DecodeError) in try reader.u16("controller index") }
    }

    /// Get Connections: `count (2) | device (7)...`
    public static func connections(parameters: [UInt8]) throws(ManagementError) -> [DeviceAddress] {
        try list(parameters) { reader throws(DecodeError) in try reader.deviceAddress() }
    }

    /// Of the commands that set something: `current settings (4)`.
    public static func settings(parameters: [UInt8]) throws(ManagementError) -> ControllerSettings {
        try Management.reading(parameters) { reader throws(DecodeError) in
            ControllerSettings(rawValue: try reader.u32("current settings"))
        }
    }

    /// Of the commands on a device: `device (7)`. Of Pair Device it is the identity address, if one became known.
    public static func address(parameters: [UInt8]) throws(ManagementError) -> DeviceAddress {
        try Management.reading(parameters) { reader throws(DecodeError) in try reader.deviceAddress() }
    }

    private static func list<Element>(
        _ parameters: [UInt8], _ element: (inout ByteReader) throws(DecodeError) -> Element
    ) throws(ManagementError) -> [Element] {
        try Management.reading(parameters) { reader throws(DecodeError) in
            let count = try reader.u16("count")
            var elements: [Element] = []
            for _ in 0..<count { elements.append(try element(&reader)) }
            try reader.finish()
            return elements
        }
    }
}
