import ExactJSON
import Vitals

extension NoninSpotCheck: JSONValue {
    var json: JSON {
        measurement.json(details: [
            .init("hundredths", .integer(hundredths)), .init("smartPoint", .bool(status.contains(.smartPoint))),
            .init("fromMemory", .bool(status.contains(.fromMemory))), .init("batteryLow", .bool(status.contains(.batteryLow))),
        ])
    }
}

extension NoninSample: JSONValue {
    var json: JSON {
        measurement.json(details: [
            .init("smartPoint", .bool(status.contains(.smartPoint))), .init("batteryLow", .bool(status.contains(.batteryLow))),
        ])
    }
}

extension NoninWaveform: JSONValue {
    var json: JSON {
        measurement.json(details: [
            .init("smartPoint", .bool(status.contains(.smartPoint))), .init("batteryLow", .bool(status.contains(.batteryLow))),
            .init("softwareRevision", .integer(softwareRevision)),
            .init("waveform", .array(frames.map { .integer($0.waveform) })),
        ])
    }
}
