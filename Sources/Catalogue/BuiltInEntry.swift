/// The entries of `devices/` as they are compiled in. Written by `devices/embed.py`; a test holds it against the files.
struct BuiltInEntry {
    let id: String
    let text: String

    static let all: [BuiltInEntry] = [
        BuiltInEntry(
            id: "and-ua-651ble",
            text: ###"""
                # A&D UA-651BLE, upper-arm blood-pressure monitor with Bluetooth LE.
                #
                # Marks: [seen] in public source code that speaks with it, [recalled] from the maker's manual and not seen again, [chosen] our decision.
                # Nobody has run this entry against hardware: see and-ua-651ble.md.

                manufacturer = "A&D Medical"
                name = "UA-651BLE"
                driver = "blood-pressure"
                # MDC_DEV_SPEC_PROFILE_BP (IEEE 11073-10101).
                specialization = 528391
                # [seen] 2A35 is indicated; a record that is not confirmed stays, and the display shows E10.
                acknowledges = "confirmation"
                # [seen] One memory for one user.
                users = "single"
                # [seen] It sends what was not yet taken, then hangs up.
                records = "unsent"
                # [seen] It bonds in its pairing mode.
                allows_unencrypted_link = false

                [match]
                # [seen] "A&D_UA-651BLE_" and six hex digits.
                name_prefixes = ["A&D_UA-651BLE"]
                # [seen] A&D's company identifier in its advertising data.
                manufacturer_company = 0x0069
                manufacturer = "A&D Medical"
                # [recalled] What 2A24 holds.
                model_numbers = ["UA-651BLE"]

                [clock]
                # [seen] Date Time inside the Blood Pressure service, local time; written on every connect.
                read = 0x2A08
                write = 0x2A08
                writes_on_every_connect = true
                # [chosen] Its records carry a stamp; one without was taken before the clock was ever set, so it is not taken as live.
                live_without_stamp = false

                [session]
                # [seen] Battery first, the vendor command, the clock, and the subscription last: the cuff begins to send when it is subscribed to,
                # so its clock is read and set before the first record. Date Time is read before it is written (R5).
                steps = ["battery", "commands", "clock", "subscribe", "records", "identity"]
                settle_milliseconds = 0
                quiet_milliseconds = 2000
                cooldown_seconds = 15
                disconnects = "device"

                # [seen] "Send all data" on the vendor service 233bf000-5a34-1b6d-975c-000d5690abe4. It acts on the transfer only: it neither
                # inflates the cuff nor deletes a record.
                [[session.command]]
                characteristic = "233bf001-5a34-1b6d-975c-000d5690abe4"
                bytes = "02 00 e1"

                [pairing]
                # [seen] It bonds; [recalled] without digits, which its display could not show.
                method = "just-works"
                # [seen] Limited discoverable (advertising flags 0x05) only then.
                instructions = "Hold START until the display shows \"Pr\"."
                # [seen] It advertises after a measurement and sends what was not yet taken; [chosen] so a reading is the proof.
                proof = "Take a reading: the cuff connects by itself when it is done."

                [connection]
                # [chosen] The cuff hangs up by itself soon after its last record: short waits until it is subscribed to.
                interval_min_ms = 15
                interval_max_ms = 30
                latency = 0
                # [chosen] An arm, a table or a body in between for 2 s does not end the transfer.
                supervision_timeout_ms = 2000

                # [recalled] The maker's measuring ranges.
                [[range]]
                quantity = "systolic"
                unit = "mm[Hg]"
                low = 60
                high = 279

                [[range]]
                quantity = "diastolic"
                unit = "mm[Hg]"
                low = 40
                high = 200

                [[range]]
                quantity = "pulseRate"
                unit = "/min"
                low = 40
                high = 180

                """###),
        BuiltInEntry(
            id: "generic-blood-pressure",
            text: ###"""
                # Any blood-pressure monitor that follows the Bluetooth SIG Blood Pressure Profile.
                #
                # Marks: [spec] Bluetooth SIG text, [seen] in public source code or captures of real devices, [chosen] our decision.
                # Nobody has run this entry against hardware: see generic-blood-pressure.md.

                name = "Blood pressure monitor"
                driver = "blood-pressure"
                # MDC_DEV_SPEC_PROFILE_BP (IEEE 11073-10101).
                specialization = 528391
                # [spec] 2A35 is indicated: the ATT confirmation is the only word that a monitor gets (BLS 1.1.1).
                acknowledges = "confirmation"
                # [chosen] A record may carry a user index (flag bit 3); where it does not, the assignment without an index holds.
                users = "indexed"
                # [seen] A&D and Omron send what was not yet taken, Beurer its whole memory on every connect. "all" is safe for both: a record
                # that comes again is the same reading (R3).
                records = "all"
                # [chosen] A stranger in radio reach must not be able to add readings.
                allows_unencrypted_link = false

                [match]
                services = [0x1810]  # Blood Pressure

                [clock]
                # [spec] Current Time in its own service is the profile's way; Date Time inside 0x1810 is A&D's.
                read = 0x2A2B
                write = 0x2A2B
                writes_on_every_connect = false
                # [spec] The time stamp is optional: a record without one that arrives in a session was just taken, unless memory is being sent.
                live_without_stamp = true

                [session]
                # [chosen] Be ready for indications before anything else: a bonded monitor may send as soon as the link is encrypted.
                steps = ["subscribe", "clock", "records", "identity", "battery"]
                # [seen] Beurer cuffs want about 100 ms before the first subscription.
                settle_milliseconds = 100
                # [seen] 2 s of quiet after the last record is what other central stacks take as the end.
                quiet_milliseconds = 2000
                # [seen] A second connect within seconds of a disconnect fails on several cuffs; 15 s is what a Nordic programme used.
                cooldown_seconds = 15
                # [seen] Cuffs hang up by themselves; hanging up first can cost records that are still to come.
                disconnects = "device"

                [pairing]
                # [chosen] Nobody knows what it has. With a keyboard and a display on our side it decides: Just Works where it has neither, its passkey
                # typed where it shows one, a comparison where it can ask.
                method = "just-works"
                io_capability = "keyboard-display"
                instructions = "Put the device into its pairing mode; its manual says how. Often a button is held until a sign flashes."
                proof = "Take a reading: the monitor connects by itself when it is done."

                [connection]
                # [chosen] Short waits for a device that stays a few seconds; the arithmetic stands beside the defaults in Model+Radio.swift.
                interval_min_ms = 15
                interval_max_ms = 30
                latency = 0
                # [chosen] The kernel's default of 420 ms ends links that a body stands in the way of.
                supervision_timeout_ms = 2000

                """###),
        BuiltInEntry(
            id: "generic-pulse-oximeter",
            text: ###"""
                # Any pulse oximeter that follows the Bluetooth SIG Pulse Oximeter Profile.
                #
                # Marks: [spec] Bluetooth SIG text, [seen] in public source code or captures of real devices, [chosen] our decision.
                # Nobody has run this entry against hardware: see generic-pulse-oximeter.md.

                name = "Pulse oximeter"
                driver = "pulse-oximeter"
                # MDC_DEV_SPEC_PROFILE_PULS_OXIM (IEEE 11073-10101).
                specialization = 528388
                # [spec] 2A5E (spot-check) is indicated. 2A5F (continuous) is notified: there the controllers acknowledge, and only a reading that
                # the stream rule below makes of it is kept.
                acknowledges = "confirmation"
                # [spec] No field for a user.
                users = "single"
                # [spec] Stored spot-checks are asked for through the Record Access Control Point 2A52, where the device has one.
                records = "racp"
                # [chosen] A stranger in radio reach must not be able to add readings.
                allows_unencrypted_link = false

                [match]
                services = [0x1822]  # Pulse Oximeter

                [clock]
                # [spec] Current Time in its own service; flag bit 4 of 2A5E says that it was never set.
                read = 0x2A2B
                write = 0x2A2B
                writes_on_every_connect = false
                live_without_stamp = true

                [session]
                steps = ["subscribe", "clock", "records", "identity", "battery"]
                settle_milliseconds = 100
                quiet_milliseconds = 2000
                cooldown_seconds = 15
                disconnects = "device"

                [pairing]
                # [chosen] Nobody knows what it has. With a keyboard and a display on our side it decides: Just Works where it has neither, its passkey
                # typed where it shows one, a comparison where it can ask.
                method = "just-works"
                io_capability = "keyboard-display"
                instructions = "Put the device into its pairing mode; its manual says how. Often a button is held until a sign flashes."
                proof = "Switch the oximeter off and on by taking the finger out, waiting until the display is dark, and putting it back."

                [connection]
                # [chosen] Short waits for a device that stays a few seconds; the arithmetic stands beside the defaults in Model+Radio.swift.
                interval_min_ms = 15
                interval_max_ms = 30
                latency = 0
                # [chosen] The kernel's default of 420 ms ends links that a body stands in the way of.
                supervision_timeout_ms = 2000

                [stream]
                # [spec] Bit 8 of the measurement status: the device itself vouches for the sample.
                result_flags = ["fully-qualified"]
                # [chosen] Else the median of the last stable 10 s, marked derived.
                median_seconds = 10

                """###),
        BuiltInEntry(
            id: "nonin-3230",
            text: ###"""
                # Nonin NoninConnect 3230, finger pulse oximeter with Bluetooth LE.
                #
                # Marks: [seen] in the maker's text or public source code that speaks with it, [spec] Bluetooth SIG text, [chosen] our decision.
                # Nobody has run this entry against hardware: see nonin-3230.md.

                manufacturer = "Nonin Medical, Inc."
                name = "NoninConnect 3230"
                driver = "pulse-oximeter"
                # MDC_DEV_SPEC_PROFILE_PULS_OXIM (IEEE 11073-10101).
                specialization = 528388
                # [spec] The spot-check 2A5E is indicated. Its other way, the maker's own service 46a970e0-0d5f-11e2-8b5e-0002a5d5c51b, is a stream
                # of notifications and is not used.
                acknowledges = "confirmation"
                # [seen] For spot checks of one person at a time.
                users = "single"
                # [chosen] Nothing is asked for: that it stores spot-checks is not documented.
                records = "none"
                # [seen] It bonds.
                allows_unencrypted_link = false

                [match]
                # [seen] The advertised name begins so.
                name_prefixes = ["Nonin3230"]
                # [seen] In the maker's address in the manual; [chosen] that 2A29 holds the same.
                manufacturer = "Nonin Medical, Inc."
                model_numbers = ["3230", "Model 3230"]

                [clock]
                # [chosen] No clock is named in what we have seen: it is not read and never set; a live result takes the hub's time.
                live_without_stamp = true

                [session]
                steps = ["subscribe", "records", "identity", "battery"]
                settle_milliseconds = 100
                quiet_milliseconds = 2000
                # [seen] The maker's 9560 wants 15 s before the next link; taken over.
                cooldown_seconds = 15
                disconnects = "device"

                [pairing]
                # [chosen] No digits on its display are named in what we have seen.
                method = "just-works"
                # [seen] On the maker's other models new bonds are taken within two minutes of battery insertion only; [chosen] taken over: it costs
                # nothing where it is not needed.
                instructions = "Take the batteries out and put them back, then put a finger in. Pair within two minutes."
                # [chosen] It is on whenever a finger is in it.
                proof = "Take the finger out, wait until the display is dark, and put it back."

                [connection]
                # [chosen] It stays while a finger is in it, so nothing hurries; samples come once a second.
                interval_min_ms = 15
                interval_max_ms = 30
                latency = 0
                supervision_timeout_ms = 2000

                [stream]
                # [spec] Bit 8 of the measurement status. The maker's own SmartPoint flag is in its own service only.
                result_flags = ["fully-qualified"]
                median_seconds = 10

                # [seen] The maker's specification sheet.
                [[range]]
                quantity = "spo2"
                unit = "%"
                low = 0
                high = 100

                [[range]]
                quantity = "pulseRate"
                unit = "/min"
                low = 18
                high = 321

                """###),
        BuiltInEntry(
            id: "nonin-9560",
            text: ###"""
                # Nonin Onyx II 9560, finger pulse oximeter with Bluetooth Classic.
                #
                # Marks: [seen] in public source code or test packets of programmes that speak with it, or told of the maker's specification,
                # [recalled] from the maker's texts and not seen again, [chosen] our decision.
                # Nobody has run this entry against hardware: see nonin-9560.md.

                manufacturer = "Nonin Medical, Inc."
                name = "Onyx II 9560"
                # [seen] The Serial Port Profile, in the maker's data format 13. It has the Health Device Profile too, which is not used.
                driver = "nonin-serial"
                transport = "classic-serial"
                # MDC_DEV_SPEC_PROFILE_PULS_OXIM (IEEE 11073-10101).
                specialization = 528388
                # [chosen] An ACK (06) for each packet once it is durable. [seen] The device deletes a record after sending it; that it waits for the
                # ACK to do so is told and was not shown: see the checklist.
                acknowledges = "response"
                # [seen] No field for a user.
                users = "single"
                # [seen] It stores up to 20 spot-checks that it could not send, and sends them oldest first.
                records = "unsent"
                # [chosen] A stranger in radio reach must not be able to add readings; the key that comes of its PIN can encrypt the link.
                allows_unencrypted_link = false

                [match]
                # [seen] "Nonin_Medical_Inc._" and six digits. Other Classic models of the maker (3150, 4100) advertise the same: see the checklist.
                name_prefixes = ["Nonin_Medical_Inc._"]
                manufacturer = "Nonin Medical, Inc."
                # [chosen] The protocol has no field for maker and model: these two make the key of a device, with its serial number. A change of
                # them would make new devices of old ones.
                model_numbers = ["9560"]

                [clock]
                # [seen] Command 0x72 reads it, and sets it with six bytes. [chosen] Read before it is set, and set only where it is wrong.
                read = 0x72
                write = 0x72
                writes_on_every_connect = false
                # [seen] Each record has a stamp; after a change of batteries the clock begins at a date of the past, so one without is not live.
                live_without_stamp = false

                [session]
                # [chosen] Format 13 is selected first, should another programme have left the device in a stream; its records come by themselves,
                # whatever is asked meanwhile.
                steps = ["subscribe", "clock", "identity"]
                settle_milliseconds = 0
                quiet_milliseconds = 2000
                # [seen] A Nordic programme waits 15 s before the next link.
                cooldown_seconds = 15
                # [seen] It switches off some ten seconds after the finger is out, and the link with it.
                disconnects = "device"

                [pairing]
                # [seen] Bluetooth 2.0: a PIN.
                method = "pin"
                # [seen] The same six digits end its Bluetooth name.
                pin_hint = "the six digits on the battery door, which its Bluetooth name ends in too"
                # [seen] A finger switches it on and makes it discoverable. [recalled] For two minutes after the batteries were put in.
                instructions = "Take the batteries out and put them back, then put a finger in and keep it there. Pair within two minutes."
                # [chosen] It is on, and can be connected to, whenever a finger is in it.
                proof = "Take the finger out, wait until the display is dark, and take a reading."

                # [chosen] As the maker's sheet has it for the 3230, a later model of the family.
                [[range]]
                quantity = "spo2"
                unit = "%"
                low = 0
                high = 100

                [[range]]
                quantity = "pulseRate"
                unit = "/min"
                low = 18
                high = 321

                """###),
    ]
}
