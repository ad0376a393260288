using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Metadata arrays: typed access (bad input G14), strings that are decoded when they are asked for, and equality.</summary>
public sealed class GgufArrayTests
{
    private static readonly Array[] Arrays =
    [
        new byte[] { 0, 255 }, new sbyte[] { -128, 127 }, new ushort[] { 1, 65535 }, new short[] { -32768, 7 }, new uint[] { 0, uint.MaxValue },
        new[] { int.MinValue, 9 }, new[] { float.NaN, -0f, 1.5f }, new[] { true, false, true }, new[] { ulong.MaxValue, 0ul },
        new[] { long.MinValue, 4L }, new[] { double.NegativeInfinity, 1 / 3.0 },
    ];

    [Theory]
    [InlineData(1u, false)]
    [InlineData(3u, false)]
    [InlineData(3u, true)]
    public async Task Open_ArraysOfEveryType_AreTheSameInEveryVersionAndByteOrder(uint version, bool bigEndian)
    {
        var builder = new GgufBuilder(version, bigEndian);
        foreach (var (i, values) in Arrays.Index())
        {
            builder.Add($"k{i}", 9, fields =>
            {
                fields.U32(GgufFields.TypeOf(values.GetValue(0)!)).Length((ulong)values.Length);
                foreach (var value in values)
                {
                    fields.Value(value!);
                }
            });
        }

        await using var checkpoint = await GgufOpening.AcceptedAsync(builder.ToBytes());
        foreach (var (i, values) in Arrays.Index())
        {
            var array = (GgufArray)checkpoint.Metadata[$"k{i}"];
            Assert.Equal(values.Cast<object>(), array);
            Assert.Equal(values.Cast<object>(), Enumerable.Range(0, array.Count).Select(index => array[index]));
            Assert.Equal(GgufValueType.Of(values.GetType().GetElementType()!), array.ElementType);
        }
    }

    [Fact]
    public void ToArray_OfAnotherType_IsRefused()
    {
        // An array of bytes read as one of integers reads beyond its end (llama.cpp #26690).
        var bytes = GgufArray.Create<sbyte>(1, 2, 3);
        Assert.Equal([1, 2, 3], bytes.ToArray<sbyte>());
        Assert.Throws<InvalidOperationException>(() => bytes.ToArray<int>());
        Assert.Throws<InvalidOperationException>(() => bytes.ToArray<byte>());
        Assert.Throws<InvalidOperationException>(() => bytes.ToArray<string>());
        Assert.Throws<InvalidOperationException>(() => bytes.ToArray<GgufArray>());
        Assert.Throws<InvalidOperationException>(() => bytes.ToArray<DateTime>());
        Assert.Throws<InvalidOperationException>(() => bytes.GetString(0));
        Assert.Throws<InvalidOperationException>(() => bytes.Strings());
        Assert.Throws<InvalidOperationException>(() => bytes.GetArray(0));
        var exception = Assert.Throws<InvalidOperationException>(() => GgufArray.Create(["a"]).ToArray<float>());
        Assert.Contains("STRING, not FLOAT32", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Index_OutsideTheArray_IsRefused()
    {
        foreach (var array in new[] { GgufArray.Create(1, 2), GgufArray.Create(["a", "b"]), GgufArray.Create([GgufArray.Create(1), GgufArray.Create(2)]) })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => array[2]);
            Assert.Throws<ArgumentOutOfRangeException>(() => array[-1]);
            Assert.Equal(array[1], array.ToArray()[1]);
        }
    }

    [Fact]
    public async Task GetString_OfBytesThatAreNoText_ReplacesThemAndKeepsTheBytes()
    {
        var file = new GgufBuilder()
            .Add("k", new byte[][] { [0x61, 0xFF], [0xE4, 0xBD], [] }).Add("one", new byte[] { 0xFF, 0x61 }).ToBytes();
        await using var checkpoint = await GgufOpening.AcceptedAsync(file);
        var array = (GgufArray)checkpoint.Metadata["k"];
        Assert.Equal("a\uFFFD", array.GetString(0));
        Assert.Equal([0xE4, 0xBD], array.GetBytes(1).ToArray());
        Assert.Equal("", array.GetString(2));
        // A vocabulary has such tokens by right; a single value is odd.
        Assert.Equal("\uFFFDa", checkpoint.Metadata["one"]);
        var warning = Assert.Single(checkpoint.Warnings);
        Assert.Contains("'one' is not valid UTF-8", warning.Message, StringComparison.Ordinal);
        Assert.Contains("is shown, and written by convert, as U+FFFD", warning.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ToArray_OfTruthValues_TakesEveryByteButZeroForTrue()
    {
        var file = new GgufBuilder().Add("k", 9, fields => fields.U32(7).Length(3).Raw([0, 1, 200])).Add("one", 7, fields => fields.Raw([2])).ToBytes();
        await using var checkpoint = await GgufOpening.AcceptedAsync(file);
        var values = ((GgufArray)checkpoint.Metadata["k"]).ToArray<bool>();
        Assert.Equal([false, true, true], values);
        Assert.True(values[2] == true && values[2].Equals(obj: true));
        Assert.Equal(true, checkpoint.Metadata["one"]);
    }

    [Fact]
    public void Create_OfStringsOfAnyKind_GivesThemBack() =>
        Prop.ForAll(
            ArbMap.Default.ArbFor<string[]>(),
            strings =>
            {
                // Half of a surrogate pair is no text that UTF-8 can hold.
                string[] valid = [.. strings.Select(text => new string([.. (text ?? "").Where(character => !char.IsSurrogate(character))]))];
                var array = GgufArray.Create(valid);
                return array.ToArray<string>().SequenceEqual(valid)
                    && valid.Select((text, i) => array.GetString(valid.Length - 1 - i) == valid[^(i + 1)]).All(same => same)
                    && array.Equals(GgufArray.Create(valid))
                    && array.GetHashCode() == GgufArray.Create(valid).GetHashCode()
                    && !array.Equals(GgufArray.Create([.. valid, "more"]));
            }).QuickCheckThrowOnFailure();

    [Fact]
    public void Create_OfHalfASurrogatePair_IsRefused()
    {
        // Not as data of a theory: attributes hold UTF-8, in which there is none.
        foreach (var text in new[] { "\ud800", "a\udc00b", "\udc00\ud800" })
        {
            var exception = Assert.Throws<ArgumentException>(() => GgufArray.Create(["fine", text]));
            Assert.Equal("strings", exception.ParamName);
            Assert.Contains("half of a surrogate pair", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal("😀", GgufArray.Create(["😀"]).GetString(0));
    }

    [Fact]
    public void Create_OfArrays_IsWhatAFileStores()
    {
        var array = GgufArray.Create([GgufArray.Create(1, 2), GgufArray.Create(["x"]), GgufArray.Create<double>()]);
        // The element types and counts are part of the bytes, the array's own are not.
        var expected = new GgufFields().Value(new object[] { new[] { 1, 2 }, new[] { "x" }, Array.Empty<double>() }).ToArray()[12..];
        Assert.Equal(expected, array.Encoded.ToArray());
        Assert.Equal("ARRAY[3]", array.ToString());
        Assert.Throws<ArgumentException>(() => GgufArray.Create('x'));
        Assert.Throws<ArgumentException>(() => GgufArray.Create(DayOfWeek.Monday));
    }

    [Fact]
    public void Types_HaveOneNumberEachAndBack()
    {
        Assert.Equal(43, GgufTypes.Count);
        Assert.Equal(35, GgufTypes.All.Length);
        Assert.All(GgufTypes.All, dtype => Assert.True(
            GgufTypes.TryGetId(dtype, out var id) && GgufTypes.TryGetDType(id, out var again) && again == dtype && GgufTypes.RemovedName(id) is null));
        Assert.All(
            Enumerable.Range(-3, 100).Where(id => !GgufTypes.TryGetDType(id, out _)),
            id => Assert.Equal(id is 4 or 5 or (>= 31 and <= 33) or (>= 36 and <= 38), GgufTypes.RemovedName(id) is not null));
        Assert.False(GgufTypes.TryGetId(DType.U8, out _));
        Assert.False(GgufTypes.TryGetId(DType.C64, out _));
    }
}
