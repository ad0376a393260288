using System.Buffers.Binary;
using IlgpuLoader.Formats.Zip;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>
/// P8 of formats.md section 5 and its kin, each by its own reason. Opening holds every refusal to the bound of memory (the
/// file's size and 64 MiB), and repeats it with short reads.
/// </summary>
public sealed class ZipBadInputTests
{
    [Fact]
    public async Task P8_deflated_bomb_is_refused_before_it_is_inflated()
    {
        // 34 MB of zeros in 34 kB, and the same with a length that no deflate reaches.
        var bomb = new ZipBuilder().Add("a/data/0", new byte[34_000_000], record => record.Deflate()).ToBytes();
        var limit = await ZipOpening.RefusedAsync<CheckpointLimitException>(bomb, directory => Ask(directory, "a/data/0", 1L << 30));
        Assert.Equal((CheckpointErrorCode.LimitExceeded, "ZipLimits.MaximumInflatedBytes", 34_000_000m), (limit.Code, limit.Option, limit.Actual));
        Assert.Contains("'a/data/0'", limit.Message, StringComparison.Ordinal);
        var asked = await ZipOpening.RefusedAsync<CheckpointLimitException>(bomb, directory => Ask(directory, "a/data/0", 1 << 20));
        Assert.Equal(("Some.Option", 1L << 20), (asked.Option, asked.Maximum));

        var impossible = new ZipBuilder().Add("a", new byte[1000], record =>
        {
            record.Deflate();
            record.Both(header => header.Length = 30_000_000);
        }).ToBytes();
        await RefusedRecordAsync(impossible, "cannot become the 30000000 bytes");
    }

    [Theory]
    [InlineData(-1, "more bytes")]
    [InlineData(1, "1000 bytes")]
    public async Task P8_deflated_record_of_another_length_than_it_says_is_refused(int error, string expected)
    {
        var bytes = new ZipBuilder().Add("a", Noise(1000), record =>
        {
            record.Deflate();
            record.Both(header => header.Length += error);
        }).ToBytes();
        await RefusedRecordAsync(bytes, expected);
    }

    [Fact]
    public async Task P8_deflated_record_that_is_damaged_is_refused()
    {
        var bytes = new ZipBuilder().Add("a", new byte[1000], record =>
        {
            record.Deflate();
            record.Data = [.. Enumerable.Repeat((byte)0xff, record.Data.Length)];
        }).ToBytes();
        await RefusedRecordAsync(bytes, "damaged");
    }

    [Fact]
    public async Task P8_record_whose_bytes_were_changed_is_refused()
    {
        var bytes = new ZipBuilder().Add("a", [1, 2, 3], record => record.Data = [1, 2, 4]).ToBytes();
        await RefusedRecordAsync(bytes, "CRC-32");
    }

    [Fact]
    public async Task P8_encrypted_flag_is_refused_when_the_bytes_are_asked_for()
    {
        foreach (var flag in (ushort[])[1, 1 << 6, 1 << 13])
        {
            var bytes = new ZipBuilder().Add("a", Noise(112), record => record.Both(header =>
            {
                header.Flags |= flag;
                header.Length = 100;
            })).ToBytes();
            var directory = await ZipOpening.AcceptedAsync(bytes);
            Assert.True(directory.Entries[0].IsEncrypted);
            Assert.False(directory.Entries[0].IsStored);
            var exception = await ZipOpening.RefusedAsync<UnsupportedCheckpointException>(bytes, opened => Ask(opened, "a"));
            Assert.Contains("encrypted", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task P8_unknown_compression_method_is_refused_when_the_bytes_are_asked_for()
    {
        var bytes = new ZipBuilder().Add("a", [1], record => record.Both(header => header.Method = 14)).ToBytes();
        var exception = await ZipOpening.RefusedAsync<UnsupportedCheckpointException>(bytes, opened => Ask(opened, "a"));
        Assert.Contains("method 14", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task P8_duplicate_entry_is_refused()
    {
        var exception = await ZipOpening.InvalidAsync(new ZipBuilder().Add("a/data/0", [1]).Add("b", [2]).Add("a/data/0", [3]).ToBytes());
        Assert.Contains("'a/data/0': two entries have this name", exception.Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Contradictions => new()
    {
        { "name", "names it 'b'" },
        { "name length", "length of the name is 1 in the directory and 2" },
        { "flags", "flags is 2048 in the directory and 0" },
        { "method", "compression method is 0 in the directory and 8" },
        { "crc", "CRC-32" },
        { "length", "length is 3 in the directory and 4" },
        { "compressed length", "compressed length is 3 in the directory and 2" },
        { "signature", "04034B51" },
        { "length with descriptor", "length is 3 in the directory and 4" },
        { "extra", "ZIP64 field" },
    };

    [Theory]
    [MemberData(nameof(Contradictions))]
    public async Task P8_local_header_that_contradicts_the_directory_is_refused(string what, string expected)
    {
        var bytes = new ZipBuilder().Add("a", [1, 2, 3], record => _ = what switch
        {
            "name" => (object)(record.Local.Name = "b"u8.ToArray()),
            "name length" => record.Local.Name = "aa"u8.ToArray(),
            "flags" => record.Local.Flags = 0,
            "method" => record.Local.Method = 8,
            "crc" => record.Local.Crc ^= 1,
            "length" => record.Local.Length = 4,
            "compressed length" => record.Local.CompressedLength = 2,
            "signature" => record.Local.Signature = 0x04034b51,
            "length with descriptor" => Described(record).Local.Length = 4,
            _ => Large(record).Local.Extra = [1, 0, 4, 0, 1, 2, 3, 4],
        }).Add("c", [4]).ToBytes();
        var exception = await ZipOpening.InvalidAsync(bytes);
        Assert.Contains("'a'", exception.Message, StringComparison.Ordinal);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task P8_missing_end_record_is_refused_as_a_download_that_was_cut()
    {
        var whole = new ZipBuilder().Add("a", Noise(500)).Add("b", Noise(300)).ToBytes();
        for (var length = 0; length < whole.Length; length++)
        {
            var exception = await ZipOpening.InvalidAsync(whole[..length]);
            Assert.Contains("cut short", exception.Message, StringComparison.Ordinal);
        }

        // A comment that was cut is one too.
        var commented = new ZipBuilder { Comment = Noise(40) }.Add("a", Noise(500)).ToBytes();
        await ZipOpening.InvalidAsync(commented[..^1]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(65_535)]
    public async Task Bytes_behind_the_end_are_left_out_with_a_warning_as_PyTorch_does(int count)
    {
        foreach (var comment in new byte[][] { [], Noise(30) })
        {
            var whole = new ZipBuilder { Comment = comment }.Add("a", Noise(500)).Add("b", Noise(300)).ToBytes();
            if (comment.Length + count > ushort.MaxValue)
            {
                continue;
            }

            var directory = await ZipOpening.AcceptedAsync([.. whole, .. new byte[count]]);
            Assert.Equal(["a", "b"], directory.Entries.Select(entry => entry.Name));
            Assert.StartsWith($"{count} bytes follow the end", directory.Warning, StringComparison.Ordinal);
            Assert.Null((await ZipOpening.AcceptedAsync(whole)).Warning);
        }
    }

    [Fact]
    public async Task Too_many_bytes_behind_the_end_are_said_to_be_a_cause()
    {
        var whole = new ZipBuilder().Add("a", Noise(500)).ToBytes();
        var exception = await ZipOpening.InvalidAsync([.. whole, .. Noise(65_536)]);
        Assert.Contains("put behind the archive", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_archive_with_bytes_behind_it_has_the_warning()
    {
        byte[] bytes = [.. new ZipBuilder().Add("a.npy", NpzOpening.Array("<f4", "(1,)", new byte[4])).ToBytes(), 0, 0, 0];
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(bytes, "a.npz"));
        Assert.StartsWith("3 bytes follow", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task F1_tail_of_zeros_is_refused_as_an_interrupted_download()
    {
        var whole = new ZipBuilder().Add("a", Noise(500)).ToBytes();
        var exception = await ZipOpening.InvalidAsync([.. whole[..200], .. new byte[300_000]], CheckpointErrorCode.ZeroFilled);
        Assert.Contains("interrupted download", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("first")]
    [InlineData("second")]
    [InlineData("same")]
    public async Task P8_overlapping_entries_are_refused(string which)
    {
        // The second header lies in the data of the first one; or the first record says that it is longer than it is; or both
        // entries of the directory lead to one header.
        var inner = new ZipBuilder().Add("b", [7, 7]).ToBytes()[..33];
        byte[] data = [1, 2, .. inner, 3];
        var bytes = which switch
        {
            "first" => new ZipBuilder().Add("a", Noise(10), Long).Add("b", Noise(10)).ToBytes(),
            "second" => new ZipBuilder().Add("a", data).Add("b", [7, 7], record => record.OffsetError = -(data.Length - 2)).ToBytes(),
            _ => new ZipBuilder().Add("a", Noise(20)).Add("b", Noise(20), record => record.OffsetError = -51).ToBytes(),
        };
        var exception = await ZipOpening.InvalidAsync(bytes);
        Assert.Contains("'a'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("reach into entry 'b'", exception.Message, StringComparison.Ordinal);

        static void Long(ZipRecord record) => record.Both(header => (header.Length, header.CompressedLength) = (20, 20));
    }

    [Fact]
    public async Task P8_overlap_by_the_extra_field_alone_is_refused()
    {
        // By the directory all is well; the local header has a longer extra field than there is room for.
        var bytes = new ZipBuilder().Add("a", Noise(10)).Add("b", Noise(100)).ToBytes();
        bytes[28] = 5;
        var exception = await ZipOpening.InvalidAsync(bytes);
        Assert.Contains("reach into entry 'b'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task P8_entry_that_reaches_into_the_directory_or_beyond_the_file_is_refused()
    {
        foreach (var error in (long[])[1, 20, 1000, 0x7fffffff])
        {
            var exception = await ZipOpening.InvalidAsync(new ZipBuilder().Add("a", Noise(10), record => record.Both(header =>
                (header.Length, header.CompressedLength) = (header.Length + error, header.CompressedLength + error))).ToBytes());
            Assert.Contains("reach into the directory", exception.Message, StringComparison.Ordinal);
            await ZipOpening.InvalidAsync(new ZipBuilder().Add("a", Noise(10), record => record.OffsetError = error).ToBytes());
        }

        // 2^63 - 1 by the ZIP64 field, so that sums overflow.
        foreach (var huge in (long[])[long.MaxValue, long.MaxValue - 40, -1])
        {
            var field = new byte[28];
            (field[0], field[2]) = (1, 24);
            BinaryPrimitives.WriteInt64LittleEndian(field.AsSpan(4), huge);
            BinaryPrimitives.WriteInt64LittleEndian(field.AsSpan(12), huge);
            BinaryPrimitives.WriteInt64LittleEndian(field.AsSpan(20), huge);
            await ZipOpening.InvalidAsync(new ZipBuilder().Add("a", Noise(10), record =>
            {
                (record.Central.Length, record.Central.CompressedLength, record.OffsetError) = (uint.MaxValue, uint.MaxValue, uint.MaxValue);
                record.Central.Extra = field;
            }).ToBytes());
        }
    }

    [Theory]
    [InlineData("../a", "leads out")]
    [InlineData("a/../../b", "leads out")]
    [InlineData("a/..", "leads out")]
    [InlineData("/etc/passwd", "absolute")]
    [InlineData("C:/a", "absolute")]
    [InlineData("a\\b", "backslash")]
    [InlineData("a\0b", "NUL")]
    [InlineData("", "empty")]
    public async Task P8_path_that_leads_out_of_the_archive_is_refused(string name, string expected)
    {
        var exception = await ZipOpening.InvalidAsync(new ZipBuilder().Add("fine", [1]).Add(name, [2]).ToBytes());
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Name_that_is_said_to_be_utf8_and_is_not_is_refused()
    {
        var exception = await ZipOpening.InvalidAsync(
            new ZipBuilder().Add("a", [1], record => record.Both(header => header.Name = [0x61, 0xff])).ToBytes());
        Assert.Contains("'61FF'", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    public async Task Several_discs_are_refused(int field, long value)
    {
        var exception = await ZipOpening.InvalidAsync(new ZipBuilder { ChangeEnd = fields => fields[field] = value }.Add("a", [1]).Add("b", [2]).ToBytes());
        Assert.Contains("several discs", exception.Message, StringComparison.Ordinal);
        var entry = await ZipOpening.InvalidAsync(new ZipBuilder().Add("a", [1], record => record.Central.Disc = 3).ToBytes());
        Assert.Contains("disc 3", entry.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(60_000)]
    public async Task Entry_count_that_lies_is_refused(int count)
    {
        var bytes = new ZipBuilder { ChangeEnd = fields => fields[2] = fields[3] = count }.Add("a", [1]).Add("b", [2]).ToBytes();
        var exception = await ZipOpening.InvalidAsync(bytes);
        Assert.Contains($"{count} entries", exception.Message, StringComparison.Ordinal);
        await ZipOpening.InvalidAsync(new ZipBuilder { HasZip64End = true, ChangeZip64End = fields => fields[0] = fields[1] = count }.Add("a", [1]).Add("b", [2]).ToBytes());
    }

    [Theory]
    [InlineData(4, 1)]
    [InlineData(4, -1)]
    [InlineData(5, 1)]
    [InlineData(5, 0x7fffffff)]
    public async Task Directory_that_is_not_where_the_end_says_is_refused(int field, long error)
    {
        await ZipOpening.InvalidAsync(new ZipBuilder { ChangeEnd = fields => fields[field] += error }.Add("a", [1]).ToBytes());
        // Bytes before the archive, as of a program that unpacks itself, move all offsets.
        await ZipOpening.InvalidAsync([1, 2, 3, .. new ZipBuilder().Add("a", [1]).ToBytes()]);
    }

    [Theory]
    [InlineData(0, long.MaxValue)]
    [InlineData(1, -1)]
    [InlineData(1, long.MaxValue)]
    [InlineData(2, -1)]
    [InlineData(2, long.MaxValue)]
    [InlineData(3, -1)]
    [InlineData(3, long.MaxValue)]
    public async Task Zip64_end_with_impossible_numbers_is_refused(int field, long value)
    {
        var builder = new ZipBuilder
        {
            HasZip64End = true,
            ChangeZip64End = fields => fields[field] = value,
            ChangeEnd = fields => (fields[2], fields[3], fields[4], fields[5]) = (ushort.MaxValue, ushort.MaxValue, uint.MaxValue, uint.MaxValue),
        };
        await ZipOpening.InvalidAsync(builder.Add("a", [1]).ToBytes());
    }

    [Fact]
    public async Task End_records_that_contradict_each_other_are_refused()
    {
        foreach (var field in (int[])[3, 4, 5])
        {
            var exception = await ZipOpening.InvalidAsync(new ZipBuilder { HasZip64End = true, ChangeEnd = fields => fields[field]++ }.Add("a", [1]).ToBytes());
            Assert.Contains("contradict", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task More_entries_or_a_longer_directory_than_the_limits_are_refused()
    {
        var bytes = new ZipBuilder().Add("a", [1]).Add("b", [2]).Add("c", [3]).ToBytes();
        var entries = await Assert.ThrowsAsync<CheckpointLimitException>(
            async () => await ZipDirectory.ReadAsync(ZipOpening.FileOf(bytes), new ZipLimits { MaximumEntries = 2 }, default));
        Assert.Equal((3m, 2L, "ZipLimits.MaximumEntries"), (entries.Actual, entries.Maximum, entries.Option));
        var length = await Assert.ThrowsAsync<CheckpointLimitException>(
            async () => await ZipDirectory.ReadAsync(ZipOpening.FileOf(bytes), new ZipLimits { MaximumDirectoryBytes = 140 }, default));
        Assert.Equal((141m, 140L, "ZipLimits.MaximumDirectoryBytes"), (length.Actual, length.Maximum, length.Option));
    }

    [Fact]
    public async Task As_many_entries_as_the_limit_over_one_header_are_refused_within_the_bounds()
    {
        // Each entry of the directory leads to the same record: what would be read again and again is refused unread.
        var builder = new ZipBuilder { HasZip64End = true };
        builder.ChangeEnd = fields => (fields[2], fields[3]) = (ushort.MaxValue, ushort.MaxValue);
        var offset = 0;
        for (var i = 0; i < ZipLimits.DefaultMaximumEntries; i++)
        {
            builder.Add($"{i}", [], record => record.OffsetError = -offset);
            offset += 30 + $"{i}".Length;
        }

        var bytes = builder.ToBytes();
        await ZipOpening.InvalidAsync(bytes);
        var source = new RecordingSource(new MemorySource(bytes, ZipOpening.Name));
        await Assert.ThrowsAsync<InvalidCheckpointException>(async () => await ZipDirectory.ReadAsync(ZipOpening.FileOf(source), default));
        // The tail, the ZIP64 end record and the directory.
        Assert.Equal(3, source.Reads.Count);
    }

    [Fact]
    public async Task As_many_entries_as_the_limit_with_long_names_stay_within_the_bound_of_memory()
    {
        // Names fill the directory up to its limit, which is what costs most beyond the file.
        var nameLength = (int)(ZipLimits.DefaultMaximumDirectoryBytes / ZipLimits.DefaultMaximumEntries) - 47;
        var builder = new ZipBuilder { HasZip64End = true };
        builder.ChangeEnd = fields => (fields[2], fields[3]) = (ushort.MaxValue, ushort.MaxValue);
        for (var i = 0; i < ZipLimits.DefaultMaximumEntries; i++)
        {
            builder.Add(i.ToString(System.Globalization.CultureInfo.InvariantCulture).PadLeft(nameLength, 'x'), []);
        }

        var bytes = builder.ToBytes();
        var file = ZipOpening.FileOf(bytes);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var opening = ZipDirectory.ReadAsync(file, default);
        Assert.True(opening.IsCompleted);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, bytes.Length + ZipOpening.AllocationBound);
        Assert.Equal(ZipLimits.DefaultMaximumEntries, (await opening).Entries.Count);
    }

    [Fact]
    public async Task Refusals_name_the_entry_without_what_would_move_the_cursor()
    {
        var exception = await ZipOpening.InvalidAsync(new ZipBuilder().Add("a\u001b[2J", [1]).Add("a\u001b[2J", [1]).ToBytes());
        Assert.DoesNotContain('\u001b', exception.Message);
    }

    private static async Task RefusedRecordAsync(byte[] bytes, string expected)
    {
        await ZipOpening.AcceptedAsync(bytes);
        var exception = await ZipOpening.RefusedAsync<InvalidCheckpointException>(bytes, directory => Ask(directory, "a", 1 << 26));
        Assert.Equal(CheckpointErrorCode.ArchiveInvalid, exception.Code);
        Assert.Contains("'a'", exception.Message, StringComparison.Ordinal);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    private static async ValueTask Ask(ZipDirectory directory, string name, long maximum = 1 << 20) =>
        await ZipOpening.BytesAsync(directory, name, maximum);

    private static ZipRecord Described(ZipRecord record)
    {
        record.Both(header => header.Flags |= 1 << 3);
        return record;
    }

    private static ZipRecord Large(ZipRecord record)
    {
        (record.Local.Length, record.Local.CompressedLength) = (uint.MaxValue, uint.MaxValue);
        return record;
    }

    private static byte[] Noise(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }
}
