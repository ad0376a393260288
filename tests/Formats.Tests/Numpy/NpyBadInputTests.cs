using System.Text;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats.Numpy;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>N1 of formats.md and its kind: each by name, with its code, within the file's size and 64 MiB.</summary>
public sealed class NpyBadInputTests
{
    private const string Good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";

    [Fact]
    public async Task Open_HeaderLongerThanFile_Throws()
    {
        await NpyOpening.InvalidAsync(NpyOpening.Array(Good, 24, version: 2, headerLength: uint.MaxValue), CheckpointErrorCode.HeaderOutOfFile);
        await NpyOpening.InvalidAsync(NpyOpening.Array(Good, 0, headerLength: Good.Length + 1), CheckpointErrorCode.HeaderOutOfFile);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Open_HeaderBeyondTheLimit_Throws(int version)
    {
        var bytes = NpyOpening.Array(Good.PadRight(10_001), 24, version);
        var exception = await NpyOpening.RefusedAsync<CheckpointLimitException>(bytes);
        Assert.Equal((CheckpointErrorCode.HeaderTooLarge, 10_001m, 10_000), (exception.Code, exception.Actual, exception.Maximum));
        Assert.Equal("NumpyLimits.MaximumHeaderBytes", exception.Option);
        var options = new CheckpointOptions { Numpy = new NumpyLimits { MaximumHeaderBytes = 10_001 } };
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(bytes), options);
        Assert.Equal(new Shape(2, 3), checkpoint.Tensors[0].Shape);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(9)]
    public async Task Open_FewerBytesThanTheFixedPart_Throws(int length)
    {
        // Named as an array, so that even an empty file is explained as one.
        await NpyOpening.InvalidAsync(NpyOpening.Array(Good, 24)[..length], CheckpointErrorCode.HeaderTooSmall);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(4, 0)]
    [InlineData(1, 1)]
    [InlineData(255, 255)]
    public async Task Open_OtherVersion_Throws(byte major, byte minor)
    {
        var bytes = NpyOpening.Array(Good, 24);
        (bytes[6], bytes[7]) = (major, minor);
        var exception = await NpyOpening.InvalidAsync(bytes, CheckpointErrorCode.UnknownVersion);
        Assert.Contains($"{major}.{minor}", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_OtherMagic_Throws()
    {
        var bytes = NpyOpening.Array(Good, 24);
        bytes[5] = (byte)'X';
        await NpyOpening.InvalidAsync(bytes, CheckpointErrorCode.UnknownFormat);
    }

    [Theory]
    [InlineData("'descr'")]
    [InlineData("'fortran_order'")]
    [InlineData("'shape'")]
    public async Task Open_MissingKey_Throws(string key)
    {
        var exception = await NpyOpening.InvalidAsync(NpyOpening.Array(Good.Replace(key, "'other'", StringComparison.Ordinal), 24), CheckpointErrorCode.HeaderFieldInvalid);
        Assert.Contains(key.Trim('\''), exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}", "'more'")]
    [InlineData("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}", "twice")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os').system('id')}", "__import__")]
    [InlineData("{'descr': __import__('os'), 'fortran_order': False, 'shape': (2, 3)}", "__import__")]
    [InlineData("__import__('os').system('id')", "'{'")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} or exit()", "behind")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", "'}'")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3", "')'")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, ", "ends")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}", "tuple")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (6)}", "tuple")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': None}", "tuple")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': '(2, 3)'}", "tuple")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, (3,))}", "dimension 1")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, True)}", "dimension 1")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3.0)}", "whole number")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0x3)}", "whole number")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 03)}", "whole number")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, -)}", "whole number")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2,, 3)}", "','")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3)}", "negative")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "negative")]
    [InlineData("{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}", "fortran_order")]
    [InlineData("{'descr': '<f4', 'fortran_order': 'False', 'shape': (2, 3)}", "fortran_order")]
    [InlineData("{'descr': '<f4', 'fortran_order': None, 'shape': (2, 3)}", "fortran_order")]
    [InlineData("{'descr': 4, 'fortran_order': False, 'shape': (2, 3)}", "descr")]
    [InlineData("{'descr': None, 'fortran_order': False, 'shape': (2, 3)}", "descr")]
    [InlineData("{'descr': b'<f4', 'fortran_order': False, 'shape': (2, 3)}", "'b'")]
    [InlineData("{'descr': '<f4, 'fortran_order': False, 'shape': (2, 3)}", "'f'")]
    [InlineData("{'descr': '<f4\n', 'fortran_order': False, 'shape': (2, 3)}", "no end")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x", "no end")]
    [InlineData("{'descr': '\\", "no end")]
    [InlineData("{'descr': '\\xzz'}", "hexadecimal")]
    [InlineData("{4: '<f4', 'fortran_order': False, 'shape': (2, 3)}", "no string")]
    [InlineData("{'descr' '<f4', 'fortran_order': False, 'shape': (2, 3)}", "':'")]
    [InlineData("{descr: '<f4', 'fortran_order': False, 'shape': (2, 3)}", "'descr'")]
    [InlineData("[('descr', '<f4')]", "'{'")]
    [InlineData("", "its end")]
    [InlineData("   \n", "its end")]
    public async Task Open_HeaderThatIsNoSuchDictionary_Throws(string header, string word)
    {
        var exception = await NpyOpening.InvalidAsync(NpyOpening.Array(header, 24), CheckpointErrorCode.HeaderFieldInvalid);
        Assert.Contains(word, exception.Problem, StringComparison.Ordinal);
        Assert.Equal("weight", exception.Tensor);
    }

    [Theory]
    [InlineData('(')]
    [InlineData('[')]
    public async Task Open_DeepNesting_Throws(char bracket)
    {
        foreach (var depth in new[] { 33, 9_000 })
        {
            var header = $"{{'shape': {new string(bracket, depth)}";
            var exception = await NpyOpening.InvalidAsync(NpyOpening.Array(header, 24), CheckpointErrorCode.HeaderFieldInvalid);
            Assert.Contains("nests", exception.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("(9223372036854775808,)")]
    [InlineData("(4611686018427387904, 4)")]
    [InlineData("(4611686018427387904,)")]
    [InlineData("(99999999999999999999999999999999999999999999999999,)")]
    [InlineData("(4611686018427387904, 4, 0)")]
    public async Task Open_ShapeBeyond64Bits_Throws(string shape) =>
        await NpyOpening.InvalidAsync(NpyOpening.Array(NpyOpening.Header("'<f8'", shape), 24), CheckpointErrorCode.SizeOverflow);

    [Fact]
    public async Task Open_MoreThan64Dimensions_Throws()
    {
        string Shape(int rank) => $"({string.Concat(Enumerable.Repeat("1, ", rank))})";
        Assert.Equal(64, (await NpyOpening.AcceptedAsync(NpyOpening.Array(NpyOpening.Header("'<f4'", Shape(64)), 4))).Shape.Rank);
        await NpyOpening.InvalidAsync(NpyOpening.Array(NpyOpening.Header("'<f4'", Shape(65)), 4), CheckpointErrorCode.HeaderFieldInvalid);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(23)]
    public async Task Open_DataShort_Throws(int bytes) =>
        await NpyOpening.InvalidAsync(NpyOpening.Array(Good, bytes), CheckpointErrorCode.FileTruncated);

    [Theory]
    [InlineData(25)]
    [InlineData(48)]
    public async Task Open_DataLong_Throws(int bytes) =>
        await NpyOpening.InvalidAsync(NpyOpening.Array(Good, bytes), CheckpointErrorCode.TrailingBytes);

    [Theory]
    [InlineData("|O", "Python objects")]
    [InlineData("O", "Python objects")]
    [InlineData("|O8", "Python objects")]
    [InlineData("|S5", "strings")]
    [InlineData("<U7", "strings")]
    [InlineData("<M8[ns]", "dates")]
    [InlineData("<m8[s]", "spans of time")]
    [InlineData("<f16", "long double")]
    [InlineData("<f12", "long double")]
    [InlineData("<c32", "long double")]
    [InlineData("|V4", "bytes without a meaning")]
    [InlineData("<V2", "bytes without a meaning")]
    public async Task Open_TypeThatIsNoNumber_IsRefusedInItsOwnWords(string descr, string feature)
    {
        var exception = await NpyOpening.RefusedAsync<UnsupportedCheckpointException>(
            NpyOpening.Array(NpyOpening.Header($"'{descr}'", "(3,)"), 24));
        Assert.Equal(CheckpointErrorCode.Unsupported, exception.Code);
        Assert.Contains(feature, exception.Feature, StringComparison.Ordinal);
        Assert.Contains($"'{descr}'", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[('a', '<i4'), ('b', '<f8')]")]
    [InlineData("[('a', '|O')]")]
    [InlineData("[('a', [('b', '<i4', (2,))])]")]
    [InlineData("('<f4', (2,))")]
    public async Task Open_StructuredType_IsRefusedInItsOwnWords(string descr)
    {
        var exception = await NpyOpening.RefusedAsync<UnsupportedCheckpointException>(
            NpyOpening.Array(NpyOpening.Header(descr, "(2,)"), 24));
        Assert.Equal("structured arrays", exception.Feature);
    }

    [Theory]
    [InlineData("")]
    [InlineData("<")]
    [InlineData("<f3")]
    [InlineData("<f")]
    [InlineData("<q8")]
    [InlineData("<f4 ")]
    [InlineData("<f-4")]
    [InlineData("<f99999999999999999999")]
    [InlineData("float32")]
    [InlineData("<b2")]
    [InlineData("i4,f8")]
    [InlineData("V")]
    public async Task Open_UnknownType_Throws(string descr) =>
        await NpyOpening.InvalidAsync(NpyOpening.Array(NpyOpening.Header($"'{descr}'", "(3,)"), 24), CheckpointErrorCode.UnknownDType);

    [Fact]
    public async Task Open_Version3NotUtf8_Throws()
    {
        byte[] header = [.. "{'descr': '"u8, 0xff, .. "'}"u8];
        var exception = await NpyOpening.InvalidAsync(NpyOpening.Array(header, [], version: 3), CheckpointErrorCode.HeaderNotUtf8);
        Assert.Equal(12 + 11, exception.Offset);
        // As Latin-1 any byte is a character.
        await NpyOpening.InvalidAsync(NpyOpening.Array(header, [], version: 2), CheckpointErrorCode.HeaderFieldInvalid);
    }

    [Fact]
    public async Task Open_ErrorBehindCharactersOfTwoBytes_SaysWhereItStands()
    {
        var header = "{'é': ?"u8.ToArray();
        Assert.Equal(12 + 7, (await NpyOpening.InvalidAsync(NpyOpening.Array(header, [], version: 3), CheckpointErrorCode.HeaderFieldInvalid)).Offset);
        Assert.Equal(12 + 7, (await NpyOpening.InvalidAsync(NpyOpening.Array(header, [], version: 2), CheckpointErrorCode.HeaderFieldInvalid)).Offset);
    }

    [Fact]
    public async Task Open_HeaderOfZeros_SaysThatTheDownloadWasInterrupted() =>
        await NpyOpening.InvalidAsync(NpyOpening.Array(new byte[118], new byte[24]), CheckpointErrorCode.ZeroFilled);

    [Fact]
    public async Task Open_TextOfTheFileInAMessage_CannotWriteToATerminal()
    {
        var exception = await NpyOpening.InvalidAsync(
            NpyOpening.Array("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), '\u001b[2J': 1}", 4), CheckpointErrorCode.HeaderFieldInvalid);
        Assert.DoesNotContain('\u001b', exception.Message);
    }

    [Fact]
    public void Open_AnyMutationOfAHeader_GivesAnArrayOrACheckpointException()
    {
        var header = Encoding.Latin1.GetBytes(Good);
        const string alphabet = "{}()[]',\":\\ \nLu0129-+xTrueFalsNone<>|=fiucbOVSU\u00e9\u0000\u001b";
        var edits = Gen.Choose(0, header.Length - 1).SelectMany(at =>
            Gen.Choose(0, 3).SelectMany(kind => Gen.Elements(alphabet.ToCharArray()).Select(character => (At: at, Kind: kind, Character: (byte)character))));
        var mutations = Gen.Choose(1, 4).SelectMany(count => Gen.ArrayOf(edits, count)).SelectMany(all => Gen.Choose(1, 3).Select(version => (Edits: all, Version: version)));
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(5_000), Prop.ForAll(Arb.From(mutations), mutation =>
        {
            var mutated = header.ToList();
            foreach (var (at, kind, character) in mutation.Edits)
            {
                var place = Math.Min(at, mutated.Count - 1);
                switch (kind)
                {
                    case 0:
                        mutated[place] = character;
                        break;
                    case 1:
                        mutated.Insert(place, character);
                        break;
                    case 2 when mutated.Count > 1:
                        mutated.RemoveAt(place);
                        break;
                    default:
                        mutated.AddRange(mutated[..place]);
                        break;
                }
            }

            var bytes = NpyOpening.Array([.. mutated], new byte[24], mutation.Version);
            try
            {
                var checkpoint = Checkpoint.OpenAsync(new MemorySource(bytes, NpyOpening.Path)).GetAwaiter().GetResult();
                return checkpoint.Tensors[0].ByteLength == 24;
            }
            catch (CheckpointException exception)
            {
                return exception.File == NpyOpening.Path;
            }
        }));
    }

    [Fact]
    public void A_limit_on_headers_that_no_array_can_hold_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new NumpyLimits { MaximumHeaderBytes = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new NumpyLimits { MaximumHeaderBytes = Array.MaxLength - 11 });
        Assert.Equal(Array.MaxLength - 12, new NumpyLimits { MaximumHeaderBytes = Array.MaxLength - 12 }.MaximumHeaderBytes);
    }
}
