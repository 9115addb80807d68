"""Topics with what somebody said next: goes on with it, or asks something else.

None of these is among the lists that the gate was fitted on.
"""

# ruff: noqa: RUF001

from __future__ import annotations

FOLLOW_UPS = [
    ("Write a Rust parser for arithmetic expressions with precedence", "great, keep at it"),
    ("Prove that there are infinitely many primes of the form 4k+3", "hm, I don't see step two"),
    ("Draft a polite e-mail to my landlord about the broken heating", "a little warmer in tone"),
    ("What is the capital of Mongolia?", "cheers"),
    ("Explain how mRNA vaccines work", "in simpler words"),
    ("Refactor this Django view so that it does one query only", "looks good, commit this"),
    ("Plan a vegetarian dinner for six people", "swap the dessert"),
    ("Derive the Euler-Lagrange equation", "yes, go through it slowly"),
    ("Schreibe ein Gedicht über den ersten Schnee", "noch eine Strophe"),
    ("Wie funktioniert ein Wärmetauscher?", "ah, danke dir"),
    ("Schreibe einen SQL-Trigger, der jede Änderung protokolliert", "ja, genau so"),
    ("Berechne die Eigenwerte der Matrix [[2,1],[1,2]]", "wie kommst du darauf?"),
    ("Entwirf einen Trainingsplan für einen Halbmarathon", "bitte etwas kürzer"),
    ("Übersetze diesen Vertrag über die Miete ins Englische", "okay, weiter"),
    ("Écris une lettre de résiliation pour mon abonnement", "plus poli, s'il te plaît"),
    ("Pourquoi les feuilles changent-elles de couleur en automne ?", "ah bon ?"),
    ("Implémente un arbre rouge-noir en C++", "ok, continue comme ça"),
    ("Quelles sont les causes de la Première Guerre mondiale ?", "merci bien"),
    ("Démontre le théorème de Pythagore", "encore une autre façon"),
    ("Propose un menu pour un mariage en plein air", "change l'entrée"),
    ("Explica cómo se calcula la inflación", "dame otro ejemplo más"),
    ("Escribe una función en Go que combine dos listas ordenadas", "vale, sigue así"),
    ("¿Qué ver en Sevilla en dos días?", "muchísimas gracias"),
    ("Demuestra por inducción que la suma de los impares es n^2", "no lo veo claro"),
    ("Redacta un contrato de alquiler sencillo", "un poco más breve"),
    ("二分探索木をTypeScriptで実装して", "いいですね、続けてください"),
    ("京都の三日間の旅程を考えて", "もっと簡単に"),
    ("量子もつれについて説明してください", "どうしてですか"),
    ("会社の忘年会の挨拶文を書いて", "ありがとう、完璧"),
    ("微分方程式 y'' + y = 0 を解いて", "もう一度お願いします"),
]

NEW_TOPICS = [
    ("Write a Rust parser for arithmetic expressions", "Which foods are rich in vitamin K?"),
    ("Prove that there are infinitely many primes", "Who composed the opera Carmen?"),
    ("Draft a polite e-mail to my landlord", "Evaluate the sum of 1/n^2 over all n"),
    ("What is the capital of Mongolia?", "Implement a trie in Java with insert and search"),
    ("Explain how mRNA vaccines work", "Write a sonnet about an old bicycle"),
    ("Refactor this Django view", "How do I get rid of fruit flies in the kitchen?"),
    ("Plan a vegetarian dinner for six people", "Show that every group of order 15 is cyclic"),
    ("Derive the Euler-Lagrange equation", "Suggest names for a pottery studio"),
    ("Schreibe ein Gedicht über den ersten Schnee", "Wie berechnet man den Flächeninhalt?"),
    ("Wie funktioniert ein Wärmetauscher?", "Wer war der erste Bundeskanzler?"),
    ("Schreibe einen SQL-Trigger", "Was hilft gegen Muskelkater?"),
    ("Berechne die Eigenwerte der Matrix", "Entwirf ein Logo-Konzept für eine Bäckerei"),
    ("Entwirf einen Trainingsplan", "Implementiere eine Warteschlange in C#"),
    ("Übersetze diesen Vertrag", "Wie entsteht ein Regenbogen?"),
    ("Écris une lettre de résiliation", "Quelle est la vitesse de la lumière ?"),
    ("Pourquoi les feuilles changent-elles de couleur ?", "Écris un script qui renomme des photos"),
    ("Implémente un arbre rouge-noir en C++", "Quel vin servir avec du saumon ?"),
    ("Quelles sont les causes de la guerre ?", "Résous le système x + y = 5, x - y = 1"),
    ("Démontre le théorème de Pythagore", "Comment obtenir un visa pour le Japon ?"),
    ("Propose un menu pour un mariage", "Explique la différence entre un virus et une bactérie"),
    ("Explica cómo se calcula la inflación", "Escribe un programa que cuente palabras en un texto"),
    ("Escribe una función en Go", "¿Cuántos huesos tiene el cuerpo humano?"),
    ("¿Qué ver en Sevilla en dos días?", "Calcula la probabilidad de sacar dos ases"),
    ("Demuestra por inducción", "¿Cómo se prepara una paella valenciana?"),
    ("Redacta un contrato de alquiler", "¿Quién pintó Las Meninas?"),
    ("二分探索木をTypeScriptで実装して", "光合成の仕組みは何ですか？"),
    ("京都の三日間の旅程を考えて", "正規表現で電話番号を抽出するには？"),
    ("量子もつれについて説明してください", "味噌汁の作り方は？"),
    ("会社の忘年会の挨拶文を書いて", "素数を100まで列挙するプログラムを書いて"),
    ("微分方程式 y'' + y = 0 を解いて", "江戸幕府を開いたのは誰ですか？"),
]
