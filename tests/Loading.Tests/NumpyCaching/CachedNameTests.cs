using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>No tensor's name leads out of a cache's folder or into another tensor's file.</summary>
public sealed class CachedNameTests
{
    [Theory]
    [InlineData("model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.weight")]
    [InlineData("größe 1", "größe 1")]
    [InlineData("", "%")]
    [InlineData(".", "%2E")]
    [InlineData("..", "%2E%2E")]
    [InlineData("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd")]
    [InlineData("/etc/passwd", "%2Fetc%2Fpasswd")]
    [InlineData("C:\\x", "C%3A%5Cx")]
    [InlineData(".hidden", "%2Ehidden")]
    [InlineData("dot.", "dot%2E")]
    [InlineData("space ", "space%20")]
    [InlineData("a\nb\u001b", "a%0Ab%1B")]
    [InlineData("100%", "100%25")]
    [InlineData("nul", "%6Eul")]
    [InlineData("COM1.weight", "%43OM1.weight")]
    [InlineData("console", "console")]
    public void Next_Name_IsOneOfAFile(string tensor, string expected) => Assert.Equal(expected, new CachedName().Next(tensor));

    [Fact]
    public void Next_NamesOfTheFoldersOwnFiles_GetOthers() =>
        Assert.StartsWith("Weight_names.json%~", new CachedName("weight_names.json").Next("Weight_names.json"), StringComparison.Ordinal);

    [Fact]
    public void Next_NamesThatDifferInCaseAlone_GetFilesThatDifferInMore()
    {
        var file = new CachedName();
        string[] names = [file.Next("layer.W"), file.Next("layer.w"), file.Next("LAYER.w")];
        Assert.Equal("layer.W", names[0]);
        Assert.Equal(3, names.Distinct(StringComparer.OrdinalIgnoreCase).Count());
    }

    [Fact]
    public void Next_LongNames_AreCutAndStayApart()
    {
        var file = new CachedName();
        var beginning = new string('ä', 300);
        string[] names = [file.Next(beginning + "1"), file.Next(beginning + "2"), file.Next(new string('/', 100)), file.Next(new string('x', 200)), file.Next(new string('x', 201))];
        Assert.All(names, name => Assert.InRange(Encoding.UTF8.GetByteCount(name), 1, 200));
        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.Equal(new string('x', 200), names[3]);
    }

    [Fact]
    public void Next_AnyNames_AreApartAndNoPaths()
    {
        var texts = Gen.ArrayOf(Gen.ArrayOf(Gen.Elements("./\\%~: aAbBäÄ\0\n\ud83d\ude00\u202ENULcon".ToCharArray())).Select(letters => new string(letters)));
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll(Arb.From(texts), names =>
        {
            var file = new CachedName("weight_names.json");
            var files = names.Distinct().Select(file.Next).ToArray();
            return files.Distinct(StringComparer.OrdinalIgnoreCase).Count() == files.Length
                && files.All(name => name.IndexOfAny(['/', '\\', '\0', '\n', ':']) < 0 && name is not "" && name[0] != '.' && name[^1] is not ('.' or ' '));
        }));
    }
}
