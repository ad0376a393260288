using System.Numerics;
using System.Text.Json;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats.Torch;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class MetadataValueTests
{
    public static TheoryData<object, string, string> Values => new()
    {
        { DBNull.Value, "None", "null" },
        { true, "true", "true" },
        { 12345678901234L, "12345678901234", "12345678901234" },
        { BigInteger.Pow(2, 100), "1267650600228229401496703205376", "1267650600228229401496703205376" },
        { 0.1, "0.1", "0.1" },
        { double.NaN, "NaN", "\"NaN\"" },
        { new Complex(1, -2), "1-2j", "\"1-2j\"" },
        { new Complex(0, 2.5), "0+2.5j", "\"0\\u002B2.5j\"" },
        { new byte[] { 0, 255 }, "0x00ff", "\"0x00ff\"" },
        { new TorchList(1L, "a", new TorchList(DBNull.Value, 0.5)), "[1, 'a', [None, 0.5]]", "[1,\"a\",[null,0.5]]" },
        { new TorchList(), "[]", "[]" },
    };

    [Theory]
    [MemberData(nameof(Values))]
    public void A_value_of_a_pickle_is_printed_as_text_and_as_JSON(object value, string text, string json)
    {
        Assert.Equal(text, new MetadataValue(value, IsFull: false).ToText());
        Assert.Equal(json, JsonSerializer.Serialize(new MetadataValue(value, IsFull: false)));
    }

    [Fact]
    public void A_long_list_is_cut_unless_all_of_it_is_asked_for()
    {
        var list = new TorchList([.. Enumerable.Range(0, 300).Select(value => (object)(long)value)]);
        Assert.Equal("[0, 1, 2, 3, 4, 5, 6, 7, …] (300 values)", new MetadataValue(list, IsFull: false).ToText());
        Assert.EndsWith("298, 299]", new MetadataValue(list, IsFull: true).ToText(), StringComparison.Ordinal);
        Assert.Equal("{\"type\":\"list\",\"count\":300,\"first\":[0,1,2,3,4,5,6,7]}", JsonSerializer.Serialize(new MetadataValue(list, IsFull: false)));
        Assert.Equal(300, JsonDocument.Parse(JsonSerializer.Serialize(new MetadataValue(list, IsFull: true))).RootElement.GetArrayLength());
    }

    [Fact]
    public void Many_bytes_are_cut_unless_all_are_asked_for()
    {
        Assert.Equal($"0x{new string('0', 64)}… (100 bytes)", new MetadataValue(new byte[100], IsFull: false).ToText());
        Assert.Equal($"0x{new string('0', 200)}", new MetadataValue(new byte[100], IsFull: true).ToText());
    }
}
