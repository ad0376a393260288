using System.Collections;
using System.Reflection;
using IlgpuLoader.Formats;
using Microsoft.Extensions.Configuration;

namespace IlgpuLoader.Hosting;

/// <summary>
/// Reads a section into options, and collects what is wrong with it: the framework's binder throws at the first wrong value, and passes over every wrong key. What is right is set; what is wrong
/// is left as it was.
/// </summary>
/// <remarks>
/// A property of the options is a value (<see cref="OptionValue"/>), a list of texts, a dictionary of options, or options. A list of the configuration takes the place of what the options have, so
/// that several sections, and the same one twice, do not add up. What is null in a file counts as not there.
/// </remarks>
internal sealed class SectionReader
{
    private readonly List<string> _problems = [];

    private SectionReader()
    {
    }

    /// <summary>Reads a section.</summary>
    /// <param name="section">The section.</param>
    /// <param name="options">What is set.</param>
    /// <param name="others">Sections in it that belong to other options; they are checked and not kept.</param>
    /// <returns>What is wrong, one sentence each, which begins with the full path of its key.</returns>
    public static IReadOnlyList<string> Read(IConfiguration section, object options, IEnumerable<KnownSection>? others = null)
    {
        var reader = new SectionReader();
        reader.ReadInto(section, options, [.. others ?? []]);
        return reader._problems;
    }

    /// <summary>The properties of options that a configuration may have, in the order of their names.</summary>
    internal static IEnumerable<PropertyInfo> PropertiesOf(Type options) =>
        options.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.GetIndexParameters().Length == 0 && (property.SetMethod is { IsPublic: true } || IsList(property.PropertyType) || IsDictionary(property.PropertyType)))
            .OrderBy(property => property.Name, StringComparer.Ordinal);

    /// <summary>Whether a type is a list of texts.</summary>
    internal static bool IsList(Type type) => type == typeof(IList<string>);

    /// <summary>Whether a type is a dictionary of options by their names.</summary>
    internal static bool IsDictionary(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IDictionary<,>) && type.GenericTypeArguments[0] == typeof(string);

    private void ReadInto(IConfiguration section, object options, IReadOnlyList<KnownSection> others)
    {
        if (section is IConfigurationSection { Value: { Length: > 0 } } value && !section.GetChildren().Any())
        {
            Report(value, "is a section with keys of its own, and has a value instead");
            return;
        }

        var properties = PropertiesOf(options.GetType()).ToDictionary(property => property.Name, StringComparer.OrdinalIgnoreCase);
        foreach (var child in section.GetChildren())
        {
            if (properties.TryGetValue(child.Key, out var property))
            {
                ReadProperty(child, options, property);
            }
            else if (others.FirstOrDefault(other => other.Key.Equals(child.Key, StringComparison.OrdinalIgnoreCase)) is { } other)
            {
                ReadInto(child, Activator.CreateInstance(other.OptionsType)!, []);
            }
            else
            {
                Report(child, $"there is no such key; {Suggest(child.Key, [.. properties.Keys, .. others.Select(known => known.Key)])}");
            }
        }
    }

    private void ReadProperty(IConfigurationSection section, object options, PropertyInfo property)
    {
        var type = property.PropertyType;
        if (IsList(type))
        {
            ReadList(section, (IList<string>)property.GetValue(options)!);
        }
        else if (IsDictionary(type))
        {
            ReadDictionary(section, (IDictionary)property.GetValue(options)!, type.GenericTypeArguments[1]);
        }
        else if (OptionValue.IsValue(type))
        {
            ReadValue(section, options, property);
        }
        else
        {
            var inner = property.GetValue(options) ?? Activator.CreateInstance(type)!;
            ReadInto(section, inner, []);
            property.SetValue(options, inner);
        }
    }

    private void ReadValue(IConfigurationSection section, object options, PropertyInfo property)
    {
        if (section.GetChildren().Any())
        {
            Report(section, "is one value, and has keys or items below it");
        }
        else if (section.Value is { } text)
        {
            if (OptionValue.TryRead(text, property, out var value, out var problem))
            {
                property.SetValue(options, value);
            }
            else
            {
                Report(section, problem);
            }
        }
    }

    private void ReadList(IConfigurationSection section, IList<string> list)
    {
        var items = section.GetChildren().ToArray();
        if (items.Length == 0 && section.Value is { Length: > 0 })
        {
            Report(section, $"is a list; give its items as {section.Key}:0, {section.Key}:1 and so on");
            return;
        }

        list.Clear();
        foreach (var item in items)
        {
            if (!item.Key.All(char.IsAsciiDigit))
            {
                Report(item, "the items of a list have numbers from 0 as keys");
            }
            else if (item.Value is null)
            {
                Report(item, "is an item of a list, and has no text");
            }
            else
            {
                list.Add(item.Value);
            }
        }
    }

    private void ReadDictionary(IConfigurationSection section, IDictionary dictionary, Type type)
    {
        if (section.Value is { Length: > 0 } && !section.GetChildren().Any())
        {
            Report(section, "has sections by their names, and has a value instead");
        }

        foreach (var child in section.GetChildren())
        {
            var options = dictionary[child.Key] ?? Activator.CreateInstance(type)!;
            dictionary[child.Key] = options;
            ReadInto(child, options, []);
        }
    }

    private void Report(IConfigurationSection section, string problem) => _problems.Add($"{Quoted.Plain(section.Path)}: {problem}");

    private static string Suggest(string key, string[] names)
    {
        // Keys are the same in upper and lower case, and so are slips in them.
        var nearest = TensorNotFoundException.FindNearest(key.ToLowerInvariant(), names.Select(name => name.ToLowerInvariant()));
        return nearest.IsEmpty
            ? $"there are {string.Join(", ", names.Order(StringComparer.Ordinal))}"
            : $"did you mean '{names.First(name => name.Equals(nearest[0], StringComparison.OrdinalIgnoreCase))}'?";
    }
}
