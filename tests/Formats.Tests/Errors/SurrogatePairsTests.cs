using System.Text;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Text with halves of surrogate pairs, against what the framework's strict encoder takes.</summary>
public sealed class SurrogatePairsTests
{
    // Not as data of a theory: names of tests are written as text, where halves of pairs look the same.
    [Fact]
    public void AreWhole_AnyText_IsWhetherItCanBeEncoded()
    {
        string[] texts =
        [
            "", "weight.ü.漢", "😀", "a😀😀b", "\ud83d", "\ude00", "a\ud83d", "\ud83db", "\ude00\ud83d", "😀\ud83d", "\ud83d😀", "😀\ude00",
        ];
        var strict = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
        Assert.All(texts, text => Assert.Equal(Record.Exception(() => strict.GetByteCount(text)) is null, SurrogatePairs.AreWhole(text)));
    }
}
